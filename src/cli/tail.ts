import type { Command } from 'commander';
import type { FeedBreaker, FeedDelivery, FeedSkipped, FeedWebhook } from '../contract/feed.js';
import { CommandError, EXIT } from '../errors.js';
import type { ExitCode } from '../errors.js';
import { printableValue } from '../printable.js';
import { counted } from '../quantities.js';
import { countsText } from './facts.js';
import { fieldsOf, FILTER, withFilters, withQuery } from './resources.js';
import { addCommand } from './session.js';
import type { Run, Session } from './session.js';
import { eventsIn } from './sse.js';
import type { ServerEvent } from './sse.js';
import { MOST_UNREACHABLE_MS } from './watch.js';

const RECONNECT_AFTER_MS = 1000;

/** `tail`. */
export function tailCommand(program: Command, run: Run): void {
  withFilters(
    addCommand(program, 'tail', 'Print webhooks, attempts and circuit breakers as they happen, until Ctrl-C', [
      'tail --channel shop',
      'tail --target bot --json',
      '$ whapi-resync-gateway tail --verdict restored --json | jq .id',
    ]),
    [FILTER.channel, FILTER.verdict, FILTER.target],
  ).action(run(tail));
}

/** Connects again after a break, and gets what it missed. Ends with Ctrl-C. @throws CommandError */
async function tail(session: Session, options: object): Promise<ExitCode> {
  const { terminal, json } = session;
  const { effects, signal } = terminal;
  const tell = (text: string): void => (json ? undefined : terminal.tell(text));
  const api = session.api();
  const path = withQuery('/v1/feed', await fieldsOf(session, options));
  let lastId: string | null = null;
  let isConnected = false;
  let unreachableSince: number | null = null;
  for (;;) {
    try {
      for await (const event of eventsIn(api.stream(path, lastId === null ? {} : { 'last-event-id': lastId }))) {
        if (!isConnected) tell(`Connected to ${api.url}. Ctrl-C ends it.\n`);
        isConnected = true;
        unreachableSince = null;
        lastId = event.id ?? lastId;
        print(session, event);
      }
    } catch (error) {
      if (signal.aborted) return EXIT.interrupted;
      const isUnreachable = error instanceof CommandError && error.exitCode === EXIT.unreachable;
      const since = unreachableSince ?? effects.now();
      if (!isUnreachable || lastId === null || effects.now() - since > MOST_UNREACHABLE_MS) throw error;
    }
    unreachableSince ??= effects.now();
    if (isConnected) tell('The connection ended. Connecting again.\n');
    isConnected = false;
    await effects.sleep(RECONNECT_AFTER_MS, signal);
    if (signal.aborted) return EXIT.interrupted;
  }
}

function print({ json, show }: Session, { kind, data }: ServerEvent): void {
  if (kind === 'hello') return;
  const told = printableValue(JSON.parse(data)) as object;
  show({ kind, ...told }, json ? '' : `${lineOf(kind, told)}\n`);
}

function lineOf(kind: string, data: object): string {
  const tellers: Readonly<Record<string, (data: never) => string>> = {
    webhook: webhookLine,
    delivery: deliveryLine,
    breaker: breakerLine,
    skipped: ({ count }: FeedSkipped) => `skipped: ${counted(count, 'event')}, because there were too many at once`,
    gap: () => 'gap: some events are missing. The lists have everything.',
  };
  return tellers[kind]?.(data as never) ?? `${kind}: ${JSON.stringify(data)}`;
}

function webhookLine({ at, id, channel, event, items, total, deliveries }: FeedWebhook): string {
  const verdicts: Record<string, number> = {};
  for (const { verdict } of items) verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
  const held = items.filter((item) => item.held).length;
  const more = total > items.length ? `, and ${total - items.length} more items` : '';
  const parts = [
    `${countsText(verdicts) || 'no items'}${more}`,
    ...(held > 0 ? [`${held} held`] : []),
    counted(deliveries, 'delivery', 'deliveries'),
  ];
  return `${at}  webhook   ${id}  ${channel}  ${event}  ${parts.join(', ')}`;
}

function deliveryLine(each: FeedDelivery): string {
  const { at, id, target, channel, event, status, attempts } = each;
  const answer = each.http_status === null ? 'no answer' : `answered ${each.http_status}`;
  const took = each.duration_ms === null ? '' : ` in ${each.duration_ms} ms`;
  const next = each.next_attempt_at === null ? '' : `, next attempt at ${each.next_attempt_at}`;
  const result = status === 'expired' ? status : `${status}: ${answer}${took}, attempt ${attempts}${next}`;
  return `${at}  delivery  ${id}  ${channel}  ${event}  to ${target}  ${result}`;
}

function breakerLine({ at, target, state, consecutive_failures: failures, next_probe_at: probe }: FeedBreaker): string {
  const next = probe === null ? '' : `, next probe at ${probe}`;
  const after = failures === 0 ? '' : ` after ${counted(failures, 'failure')}`;
  return `${at}  breaker   ${target}  ${state.replace('_', ' ')}${after}${next}`;
}
