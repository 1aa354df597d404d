import type { ComponentChildren } from 'preact';
import { targetName } from './names.js';
import { href } from './routes.js';
import type { PageName } from './routes.js';

/** Links to the pages of things. Ids are long: a link shows their end, and its tooltip the whole. */

const SHOWN_CHARACTERS = 14;

export const shortId = (id: string): string =>
  id.length <= SHOWN_CHARACTERS ? id : `…${id.slice(-SHOWN_CHARACTERS + 1)}`;

interface NewTab {
  /** Opens in another tab, so that what was typed into a form is kept. */
  readonly newTab?: boolean;
}

const tabOf = ({ newTab = false }: NewTab): { target?: string } => (newTab ? { target: '_blank' } : {});

interface IdLinkProps extends NewTab {
  readonly page: PageName;
  readonly id: string;
  readonly children?: ComponentChildren;
}

export function IdLink({ page, id, children, ...tab }: IdLinkProps) {
  return (
    <a class="id" href={href(page, [id])} title={id} {...tabOf(tab)}>
      {children ?? shortId(id)}
    </a>
  );
}

export const TargetLink = ({ id }: { readonly id: string }) => (
  <a href={href('targets', [id])} title={id}>
    {targetName(id)}
  </a>
);

export const ChannelLink = ({ name }: { readonly name: string }) => <a href={href('channels', [name])}>{name}</a>;

interface MessageLinkProps extends NewTab {
  readonly channel: string;
  readonly id: string | null;
  readonly whole?: boolean;
}

/** To the explanation of a message. */
export function MessageLink({ channel, id, whole = false, ...tab }: MessageLinkProps) {
  if (id === null) return <span class="dim">no message</span>;
  return (
    <a class="id" href={href('explain', [channel, id])} title={id} {...tabOf(tab)}>
      {whole ? id : shortId(id)}
    </a>
  );
}

/** An event and the channel it came from. */
export const EventOf = ({ channel, event }: { readonly channel: string; readonly event: string }) => (
  <span class="names">
    {event}
    <br />
    <ChannelLink name={channel} />
  </span>
);
