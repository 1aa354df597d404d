import { useSignal } from '@preact/signals';
import type { Audit } from '../contract/audits.js';
import type { DoctorReport } from '../contract/doctor.js';
import type { Job } from '../contract/jobs.js';
import type { Resync } from '../contract/resyncs.js';
import type { Stats } from '../contract/stats.js';
import type { Verdict } from '../model.js';
import { get } from './api.js';
import type { Page } from './api.js';
import { AuditProgress } from './audit-progress.js';
import { Badge, Status, VerdictBadge } from './badge.js';
import { Section, Tile } from './facts.js';
import { ChannelLink, IdLink, TargetLink } from './links.js';
import { useLoad } from './loading.js';
import { channels, targets } from './names.js';
import { Pending, ProblemNotice } from './notice.js';
import { JobBar } from './progress.js';
import { ReplayNotices } from './replay.js';
import { ResyncProgress } from './resync-progress.js';
import { href } from './routes.js';
import { PageHead } from './shell.js';
import { LatencyChart, RateChart, Spans } from './stats-charts.js';
import { useStats } from './stats.js';
import { Table } from './table.js';
import type { Column } from './table.js';
import { TargetState } from './target-state.js';
import { minutesAgo, Time } from './time.js';

const RUNNING_MS = 5000;
const VERDICTS: readonly Verdict[] = ['new', 'late', 'restored', 'duplicate', 'event'];
const LINES = VERDICTS.map((verdict, index) => ({ name: verdict, of: verdict, color: index + 1 }));

export function Overview() {
  const minutes = useSignal(60);
  const { value: stats, error } = useStats(minutes.value);
  return (
    <>
      <PageHead title="Overview">
        <Spans minutes={minutes.value} onChange={(next) => (minutes.value = next)} />
      </PageHead>
      <FirstSteps />
      <ReplayNotices />
      {stats === null && <Pending error={error} />}
      {stats && <Numbers stats={stats} since={minutesAgo(minutes.value)} />}
      <Running />
      {stats && (
        <div class="charts">
          <RateChart title="Items per minute, by verdict" series={stats.series} lines={LINES} />
          <LatencyChart title="Latency of targets" series={stats.series} />
        </div>
      )}
      {stats && stats.targets.length > 0 && <TargetTable stats={stats} />}
      {stats && stats.channels.length > 0 && <ChannelTable stats={stats} since={minutesAgo(minutes.value)} />}
      {stats && stats.replicas.length > 0 && <ReplicaTable stats={stats} />}
    </>
  );
}

/** What is left to do before the first message can flow. */
function FirstSteps() {
  const [channelList, targetList] = [channels.value, targets.value];
  if (channelList === null || targetList === null) return null;
  const isConnected = channelList.some(({ last_webhook_at: at }) => at !== null);
  if (channelList.length > 0 && targetList.length > 0 && isConnected) return null;
  const first = channelList[0]?.name;
  const steps = [
    { done: channelList.length > 0, text: 'Add a channel', to: href('channels') },
    { done: targetList.length > 0, text: 'Add a target: the endpoint of your bot', to: href('targets') },
    {
      done: isConnected,
      text: 'Connect the channel, so that Whapi sends its webhooks here',
      to: href('channels', first === undefined ? [] : [first]),
    },
  ];
  return (
    <Section title="First steps">
      <ol class="steps">
        {steps.map(({ done, text, to }) => (
          <li key={text}>
            {done ? <Badge tone="good">done</Badge> : <Badge tone="quiet">to do</Badge>}{' '}
            {done ? text : <a href={to}>{text}</a>}
          </li>
        ))}
      </ol>
    </Section>
  );
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Numbers that link to the rows they count. */
function Numbers({ stats, since }: { readonly stats: Stats; readonly since: string }) {
  const { channels: perChannel, targets: perTarget } = stats;
  const counted = (verdict: Verdict): number => sum(perChannel.map(({ items }) => items[verdict]));
  const oldest = perTarget.flatMap(({ oldest_pending_at: at }) => (at === null ? [] : [at])).sort()[0] ?? null;
  const dead = sum(perTarget.map((target) => target.dead));
  const open = perTarget.filter(({ breaker }) => breaker.state !== 'closed').length;
  const held = sum(perChannel.map((channel) => channel.held));
  return (
    <div class="tiles">
      {VERDICTS.map((verdict) => (
        <Tile
          key={verdict}
          label={`Items: ${verdict}`}
          value={counted(verdict).toLocaleString()}
          href={href('held', [], { held: 'any', verdict, since })}
        />
      ))}
      <Tile
        label="Items held"
        value={held.toLocaleString()}
        href={href('held', [], { since })}
        tone={held > 0 ? 'warn' : undefined}
      />
      <Tile
        label="Pending deliveries"
        value={sum(perTarget.map(({ pending }) => pending)).toLocaleString()}
        href={href('deliveries', [], { status: 'pending' })}
        note={
          oldest === null ? undefined : (
            <>
              oldest <Time at={oldest} />
            </>
          )
        }
      />
      <Tile
        label="Dead deliveries"
        value={dead.toLocaleString()}
        href={href('deliveries', [], { status: 'dead', since })}
        tone={dead > 0 ? 'bad' : undefined}
      />
      <Tile label="Breakers not closed" value={open} href={href('targets')} tone={open > 0 ? 'bad' : undefined} />
      <DoctorTile />
    </div>
  );
}

/** The doctor's worst. It asks Whapi, so the page asks once. */
function DoctorTile() {
  const { value: report, error } = useLoad('doctor', async () => await get<DoctorReport>('v1/doctor'));
  const worst = report?.checks.find(({ status }) => status === report.status && status !== 'ok');
  return (
    <Tile
      label="Doctor"
      value={report === null ? error ? 'failed' : <span aria-busy="true">…</span> : <Status status={report.status} />}
      href={href('channels')}
      note={error?.message ?? worst?.message}
    />
  );
}

interface Work {
  readonly resyncs: readonly Resync[];
  readonly audits: readonly Audit[];
  readonly jobs: readonly Job[];
}

async function loadRunning(): Promise<Work> {
  const of = async <T,>(path: string): Promise<readonly T[]> =>
    (await get<Page<T>>(path, { status: 'running', limit: 10 })).data;
  const [resyncs, audits, jobs] = await Promise.all([
    of<Resync>('v1/resyncs'),
    of<Audit>('v1/audits'),
    of<Job>('v1/jobs'),
  ]);
  return { resyncs, audits, jobs };
}

function Running() {
  const { value: work, error } = useLoad('running', loadRunning, RUNNING_MS);
  if (work === null) return <ProblemNotice error={error} />;
  const { resyncs, audits, jobs } = work;
  if (resyncs.length + audits.length + jobs.length === 0) return null;
  return (
    <Section title="Running">
      {resyncs.map((resync) => (
        <div key={resync.id} class="running">
          <p>
            Resync <IdLink page="resyncs" id={resync.id} /> on <ChannelLink name={resync.channel} />
          </p>
          <ResyncProgress resync={resync} />
        </div>
      ))}
      {audits.map((audit) => (
        <div key={audit.id} class="running">
          <p>
            {audit.kind === 'audit' ? 'Audit' : 'Seeding'} <IdLink page="audits" id={audit.id} /> of{' '}
            <ChannelLink name={audit.channel} />, hours read
          </p>
          <AuditProgress audit={audit} />
        </div>
      ))}
      {jobs.map((job) => (
        <JobBar key={job.id} id={job.id} />
      ))}
    </Section>
  );
}

type TargetRow = Stats['targets'][number];
const quantiles = (of: TargetRow['latency_ms']): string =>
  of === null ? '–' : [of.p50, of.p95, of.p99].map((ms) => Math.round(ms).toLocaleString()).join(' / ');

const TARGETS: readonly Column<TargetRow>[] = [
  { head: 'Target', kind: 'short', cell: ({ target }) => <TargetLink id={target} /> },
  { head: 'State', kind: 'badge', cell: ({ target }) => <StateOf id={target} /> },
  {
    head: 'Pending',
    kind: 'num',
    cell: ({ target, pending }) => <a href={href('deliveries', [], { status: 'pending', target })}>{pending}</a>,
  },
  { head: 'Oldest', kind: 'time', cell: ({ oldest_pending_at: at }) => <Time at={at} /> },
  { head: 'Attempts', kind: 'num', cell: ({ attempts }) => attempts.toLocaleString() },
  { head: 'Failed', kind: 'num', cell: ({ failed_attempts: failed }) => failed.toLocaleString() },
  { head: 'p50 / p95 / p99 ms', kind: 'num', cell: ({ latency_ms: latency }) => quantiles(latency) },
];

function StateOf({ id }: { readonly id: string }) {
  const target = targets.value?.find((each) => each.id === id);
  return target ? <TargetState target={target} /> : null;
}

const TargetTable = ({ stats }: { readonly stats: Stats }) => (
  <Section title="Targets">
    <Table caption="Targets" columns={TARGETS} rows={stats.targets} keyOf={({ target }) => target} />
  </Section>
);

const REPLICAS: readonly Column<Stats['replicas'][number]>[] = [
  { head: 'Replica', kind: 'id', cell: ({ name, id }) => name ?? id },
  { head: 'Started', kind: 'time', cell: ({ started_at: at }) => <Time at={at} /> },
  { head: 'Last seen', kind: 'time', cell: ({ seen_at: at }) => <Time at={at} /> },
];

/** The gateway processes that share the database. With SQLite there is one, and no table. */
const ReplicaTable = ({ stats }: { readonly stats: Stats }) => (
  <Section title="Replicas">
    <Table caption="Replicas" columns={REPLICAS} rows={stats.replicas} keyOf={({ id }) => id} />
  </Section>
);

type ChannelRow = Stats['channels'][number];

function ChannelTable({ stats, since }: { readonly stats: Stats; readonly since: string }) {
  const columns: readonly Column<ChannelRow>[] = [
    { head: 'Channel', kind: 'short', cell: ({ channel }) => <ChannelLink name={channel} /> },
    { head: 'Last webhook', kind: 'time', cell: ({ last_webhook_at: at }) => <Time at={at} none="none yet" /> },
    {
      head: 'Webhooks',
      kind: 'num',
      cell: ({ channel, webhooks }) => <a href={href('live', [], { channel, since })}>{webhooks.toLocaleString()}</a>,
    },
    {
      head: 'Items',
      cell: ({ channel, items }) => (
        <span class="badges">
          {VERDICTS.filter((verdict) => items[verdict] > 0).map((verdict) => (
            <a key={verdict} href={href('held', [], { held: 'any', channel, verdict, since })}>
              <VerdictBadge verdict={verdict} /> <span class="num">{items[verdict].toLocaleString()}</span>
            </a>
          ))}
        </span>
      ),
    },
    {
      head: 'Held',
      kind: 'num',
      cell: ({ channel, held }) => <a href={href('held', [], { channel, since })}>{held.toLocaleString()}</a>,
    },
    { head: 'Refused', kind: 'num', cell: ({ refused }) => refused.toLocaleString() },
  ];
  return (
    <Section title="Channels">
      <Table caption="Channels" columns={columns} rows={stats.channels} keyOf={({ channel }) => channel} />
    </Section>
  );
}
