import type { Verdict } from '../model.js';
import { post } from './api.js';
import { VerdictBadge } from './badge.js';
import { Section } from './facts.js';
import { Table } from './table.js';

export interface JudgeRequest {
  readonly channel: string;
  readonly body: string;
  readonly method: string;
  readonly suffix?: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface Judged {
  readonly event: string;
  readonly items: readonly {
    readonly position: number;
    readonly carrier: string;
    readonly message_id: string | null;
    readonly verdict: Verdict;
    readonly rule: number;
    readonly reason: string;
  }[];
}

export const judge = async (request: JudgeRequest): Promise<Judged> => await post<Judged>('v1/judge', request);

export function JudgementView({ judged }: { readonly judged: Judged }) {
  return (
    <Section title={`Verdicts of ${judged.event}`}>
      <Table
        caption="Verdicts"
        columns={[
          { head: 'Item', kind: 'short', cell: ({ carrier, position }) => `${carrier}[${position}]` },
          {
            head: 'Verdict',
            kind: 'badge',
            cell: ({ verdict, rule }) => <VerdictBadge verdict={verdict} rule={rule} />,
          },
          { head: 'Why', cell: ({ reason }) => reason },
        ]}
        rows={judged.items}
        keyOf={({ position }) => String(position)}
      />
    </Section>
  );
}
