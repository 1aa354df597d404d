import type { ProbeCopy, ProbeView } from '../store/probes.js';
import { durationText, findingsOf, summaryOf } from './findings.js';
import { hasFailed } from './policy.js';

/**
 * A report in Markdown for an issue. It has no names, ids, numbers, addresses or texts of messages, and no time of day: only
 * kinds, durations, statuses, and names of events and fields.
 */
export function reportOf(probe: ProbeView, version: string): string {
  const { facts, finishedAt } = probe;
  const lines = [
    '## Probe of a Whapi channel',
    '',
    `- gateway: whapi-resync-gateway ${version}`,
    `- message: ${messageText(probe)}`,
    `- plain GET before: ${statusText(facts.before?.status)}`,
    `- result: ${finishedAt !== null && hasFailed(facts) && !facts.isCancelled ? 'the probe could not be made' : summaryOf(probe)}`,
    ...(finishedAt === null
      ? ['- the probe is still running']
      : [`- watched for ${durationText(finishedAt - probe.startedAt)}`]),
    '',
    ...table(
      ['assumption', 'holds', 'observed'],
      findingsOf(probe).map(({ text, holds, observed }) => [text, ANSWERS[`${holds}`], observed]),
    ),
    ...(facts.copies.length > 0 ? ['', ...copiesTable(probe)] : []),
  ];
  return `${lines.join('\n')}\n`;
}

const ANSWERS = { true: 'yes', false: '**no**', null: 'not known' } as const;

function copiesTable({ facts: { call, copies } }: ProbeView): string[] {
  const webhooks = [...new Set(copies.map(({ webhookId }) => webhookId))];
  return table(
    ['webhook', 'after', 'event', 'array', 'verdict', 'id', 'chat', 'time', 'content', 'other fields that differ'],
    copies.map((copy) => [
      String(webhooks.indexOf(copy.webhookId) + 1),
      durationText(copy.receivedAt - (call?.at ?? copy.receivedAt)),
      copy.event,
      copy.carrier,
      `${copy.verdict} (${copy.rule})`,
      ...comparisonsOf(copy),
      copy.otherFields.filter(isFieldName).join(', ') || '-',
    ]),
  );
}

function comparisonsOf({ id, chatId, timestamp, content }: ProbeCopy): string[] {
  return [id, chatId, timestamp, content].map((isSame) => (isSame === null ? '?' : isSame ? 'same' : '**other**'));
}

/** A name that holds anything else may be made of someone's data. */
function isFieldName(name: string): boolean {
  return /^[a-z][a-z_]{0,39}$/.test(name);
}

function messageText({ facts: { message } }: ProbeView): string {
  if (!message) return 'not known';
  const { type, fromMe, age, chat } = message;
  const from = fromMe === null ? '' : fromMe ? ', own' : ', received';
  const sent = age === null ? '' : `, ${durationText(age * 1000)} old`;
  return `${isFieldName(type) ? type : 'other type'}${from}${sent}, chat: ${chat}`;
}

function statusText(status: number | null | undefined): string {
  return status === undefined ? 'not made' : status === null ? 'no answer' : String(status);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
