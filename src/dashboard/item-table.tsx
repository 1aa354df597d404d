import type { Item } from '../contract/items.js';
import type { ReleaseSurvey } from '../contract/jobs.js';
import { VerdictBadge } from './badge.js';
import { BulkButton } from './bulk.js';
import { EventOf, IdLink, MessageLink } from './links.js';
import { Table } from './table.js';
import type { Column } from './table.js';
import { Time } from './time.js';

export const ITEM_COLUMNS: readonly Column<Item>[] = [
  { head: 'Seen', kind: 'time', cell: ({ seen_at: at }) => <Time at={at} /> },
  { head: 'Message', kind: 'id', cell: ({ channel, message_id: id }) => <MessageLink channel={channel} id={id} /> },
  {
    head: 'Verdict',
    kind: 'badge',
    cell: ({ verdict, rule, reason, held }) => (
      <VerdictBadge verdict={verdict} rule={rule} reason={reason} held={held} />
    ),
  },
  { head: 'Event', kind: 'short', cell: ({ channel, event }) => <EventOf channel={channel} event={event} /> },
  { head: 'Why', cell: (item) => <Why item={item} /> },
  { head: 'Webhook', kind: 'id', cell: ({ webhook }) => <IdLink page="webhooks" id={webhook} /> },
];

/** The rule in words, with the facts that it rests on. */
function Why({ item }: { readonly item: Item }) {
  const { reason, evidence } = item;
  return (
    <>
      {reason}
      {evidence.resyncs.map((id) => (
        <span key={id} class="evidence">
          by resync <IdLink page="resyncs" id={id} />
        </span>
      ))}
    </>
  );
}

export const ItemTable = ({ rows, caption }: { readonly rows: readonly Item[]; readonly caption: string }) => (
  <Table caption={caption} columns={ITEM_COLUMNS} rows={rows} keyOf={({ id }) => id} />
);

interface BulkReleaseProps {
  readonly filter: Readonly<Record<string, string | undefined>>;
  readonly onDone: () => void;
}

/** Releases every held item of a filter, each message once. */
export const BulkRelease = ({ filter, onDone }: BulkReleaseProps) => (
  <BulkButton<ReleaseSurvey>
    path="v1/items/release"
    filter={filter}
    verb="Release"
    things="held items"
    choosesTargets
    sample={({ sample }) => <ItemTable caption="Sample of the items" rows={sample} />}
    onDone={onDone}
  />
);
