import type { Attempt } from '../contract/deliveries.js';
import { Badge } from './badge.js';
import { Empty } from './notice.js';
import { Table } from './table.js';
import type { Column } from './table.js';
import { Time } from './time.js';

const ATTEMPTS: readonly Column<Attempt>[] = [
  { head: 'Started', kind: 'time', cell: ({ started_at: at }) => <Time at={at} /> },
  { head: 'Took', kind: 'num', cell: ({ duration_ms: ms }) => `${ms.toLocaleString()} ms` },
  {
    head: 'Answer',
    kind: 'badge',
    cell: ({ status, error }) => <Badge tone={error === null ? 'good' : 'bad'}>{status ?? 'none'}</Badge>,
  },
  {
    head: 'What happened',
    cell: ({ error, response }) => (
      <>
        {error ?? 'delivered'}
        {response !== null && <pre class="answer">{response}</pre>}
      </>
    ),
  },
];

export function Attempts({ attempts }: { readonly attempts: readonly Attempt[] }) {
  if (attempts.length === 0) return <Empty title="No attempt yet." />;
  const rows = attempts.map((attempt, index) => ({ ...attempt, key: String(index) }));
  return (
    <Table
      caption="Attempts"
      columns={ATTEMPTS}
      rows={rows}
      keyOf={(row) => (row as { key?: string }).key ?? row.started_at}
    />
  );
}
