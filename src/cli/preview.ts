import type { Command } from 'commander';
import type { Preview } from '../contract/previews.js';
import { usageError } from '../errors.js';
import { NAME } from './session.js';
import type { Session } from './session.js';
import { table } from './terminal.js';
import { TIME_WORDS, timeOf } from './time.js';

/** The options of a command that can show what a change would do instead of making it. */
export interface PreviewOptions {
  readonly preview?: boolean;
  readonly since?: string;
}

/** Items that are shown of each difference. `--json` shows all that the gateway gives. */
const MOST_SHOWN = 5;
/** Outcomes in words, where the name alone does not say it. */
const WORDS: Readonly<Record<string, string>> = { not_subscribed: 'not subscribed' };

export function withPreview(command: Command): Command {
  return command
    .option('--preview', 'show what the change would have done to recorded webhooks, without making it')
    .option('--since <time>', `start of the webhooks for --preview, a day ago if left out: ${TIME_WORDS}`);
}

/** @throws CommandError (`--since` without `--preview`) */
export function wantsPreview({ preview = false, since }: PreviewOptions): boolean {
  if (!preview && since !== undefined) throw usageError('--since needs --preview.');
  return preview;
}

/** @param path of the target or the channel in the API */
export async function showPreview(
  { api, show, terminal }: Session,
  path: string,
  changes: object,
  { since }: PreviewOptions,
): Promise<void> {
  const start = since === undefined ? {} : { since: timeOf('--since', since, terminal.effects.now()) };
  const preview = await api().call<Preview>('POST', `${path}/preview`, { changes, ...start });
  show(preview, previewText(preview, terminal.columns()));
}

function previewText({ webhooks, since, complete, notes, targets }: Preview, columns: number | null): string {
  const read = `Webhooks read: ${webhooks}, since ${since}${complete ? '' : ' (only the newest; more were recorded)'}\n`;
  const unsure = notes.map((note) => `Note: ${note}\n`).join('');
  const none = targets.length === 0 ? `\nNo targets yet. To add one: ${NAME} targets add <name> <url>\n` : '';
  return `${read}${unsure}${targets.map((target) => targetText(target, columns)).join('')}${none}\nNothing was changed.\n`;
}

function targetText({ name, before, after, differences }: Preview['targets'][number], columns: number | null): string {
  const outcomes = (Object.keys(before) as (keyof typeof before)[]).filter(
    (outcome) => before[outcome] + after[outcome] > 0,
  );
  const rows = outcomes.map((outcome) => [wordsOf(outcome), String(before[outcome]), String(after[outcome])]);
  const counts = rows.length === 0 ? 'No items.\n' : table(['ITEMS', 'NOW', 'CHANGED'], rows, columns);
  const same = rows.length > 0 && differences.length === 0 ? 'The change makes no difference.\n' : '';
  return `\nTarget ${name}\n${counts}${same}${differences.map((each) => differenceText(each, columns)).join('')}`;
}

function differenceText(
  { before, after, count, items }: Preview['targets'][number]['differences'][number],
  columns: number | null,
): string {
  const rows = items
    .slice(0, MOST_SHOWN)
    .map((item) => [item.id, item.received_at, item.verdict, item.event, item.message_id ?? '–']);
  const more = count > rows.length ? `… and ${count - rows.length} more\n` : '';
  const head = ['ITEM', 'RECEIVED', 'VERDICT', 'EVENT', 'MESSAGE'];
  return `\n${wordsOf(before)} → ${wordsOf(after)}: ${count}\n${table(head, rows, columns)}${more}`;
}

function wordsOf(outcome: string): string {
  return WORDS[outcome] ?? outcome;
}
