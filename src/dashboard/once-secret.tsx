import { CopyButton } from './copy.js';

/** A secret that is shown this one time. */
export function OnceSecret({ what, secret }: { readonly what: string; readonly secret: string }) {
  return (
    <div class="notice warn">
      <p>{what} is shown only now. Copy it to where it is needed.</p>
      <p>
        <code class="break" data-secret>
          {secret}
        </code>{' '}
        <CopyButton text={secret} />
      </p>
    </div>
  );
}
