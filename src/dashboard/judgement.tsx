import type { Trial } from '../contract/judge.js';
import { Badge, VerdictBadge } from './badge.js';
import { Evidence } from './evidence.js';
import { Section } from './facts.js';
import { MessageLink, TargetLink } from './links.js';
import { Empty } from './notice.js';
import { Table } from './table.js';
import type { Column } from './table.js';

type Item = Trial['items'][number];
type Route = Trial['routes'][number];

/** What the gateway would do: each verdict with its rule and evidence, and what each target would get. */
export function JudgementView({ trial }: { readonly trial: Trial }) {
  const { channel, event, items, routes } = trial;
  const columns: readonly Column<Item>[] = [
    {
      head: 'Item',
      kind: 'short',
      cell: ({ carrier, position }) => (carrier === '' ? 'body' : `${carrier}[${position}]`),
    },
    { head: 'Message', kind: 'id', cell: ({ message_id: id }) => <MessageLink channel={channel} id={id} /> },
    {
      head: 'Verdict',
      kind: 'badge',
      cell: ({ verdict, rule, held }) => <VerdictBadge verdict={verdict} rule={rule} held={held} />,
    },
    {
      head: 'Why',
      cell: ({ reason, evidence }) => (
        <>
          {reason}
          <Evidence evidence={evidence} />
        </>
      ),
    },
  ];
  return (
    <div data-trial>
      <Section title={`Verdicts of ${event}`}>
        <Table caption="Verdicts" columns={columns} rows={items} keyOf={({ position }) => String(position)} />
      </Section>
      <Section title="What targets would get">
        {routes.length === 0 && <Empty title="No target subscribes to this event." />}
        {routes.length > 0 && <Table caption="Routes" columns={ROUTES} rows={routes} keyOf={({ target }) => target} />}
      </Section>
    </div>
  );
}

const positionsOf = (positions: readonly number[]): string =>
  `${positions.length === 1 ? 'item' : 'items'} ${positions.slice(0, 30).join(', ')}${positions.length > 30 ? ' …' : ''}`;

const ROUTES: readonly Column<Route>[] = [
  { head: 'Target', kind: 'short', cell: ({ target }) => <TargetLink id={target} /> },
  {
    head: 'Requests',
    cell: ({ requests }) =>
      requests.length === 0 ? (
        <Badge tone="warn">nothing</Badge>
      ) : (
        <ul class="plain-list">
          {requests.map(({ positions, bytes }) => (
            <li key={positions.join()}>
              {positionsOf(positions)}, {bytes.toLocaleString()} bytes
            </li>
          ))}
        </ul>
      ),
  },
  { head: 'Held', cell: ({ held }) => (held.length === 0 ? 'none' : positionsOf(held)) },
];
