import { labelledStep } from '../contract/explained-words.js';
import type { Explanation, Step } from '../contract/messages.js';
import { targetName } from './names.js';
import { href } from './routes.js';
import { Time } from './time.js';

/** Everything in order of time, from the registration to the release. */
export function Timeline({ found }: { readonly found: Explanation }) {
  return (
    <ol class="timeline">
      {found.timeline.map((step, index) => (
        // Two steps may be equal in every field; their order does not change.
        <li key={`${step.at} ${step.kind} ${index}`} class={`step ${step.kind}`}>
          <Time at={step.at} />
          <Labelled step={step} />
        </li>
      ))}
    </ol>
  );
}

function Labelled({ step }: { readonly step: Step }) {
  const [label, text] = labelledStep(step);
  return (
    <div>
      <strong>{label}:</strong> <Linked text={text} />
    </div>
  );
}

const PAGE_OF = {
  rsy: 'resyncs',
  dlv: 'deliveries',
  tgt: 'targets',
  aud: 'audits',
  sed: 'audits',
  whk: 'webhooks',
} as const;
const ID = /\b((?:rsy|dlv|tgt|aud|sed|whk)_[A-Za-z0-9_-]+)/;

/** A text in which the ids of things are links. */
export function Linked({ text }: { readonly text: string }) {
  return (
    <span class="break">
      {text.split(ID).map((part, index) => {
        const page = PAGE_OF[part.slice(0, 3) as keyof typeof PAGE_OF] as string | undefined;
        if (index % 2 === 0 || page === undefined) return part;
        return (
          <a key={part + String(index)} href={href(PAGE_OF[part.slice(0, 3) as keyof typeof PAGE_OF], [part])}>
            {targetName(part)}
          </a>
        );
      })}
    </span>
  );
}
