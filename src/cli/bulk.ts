import type { Command } from 'commander';
import type { StartedJob } from '../contract/jobs.js';
import { usageError } from '../errors.js';
import { counted } from '../quantities.js';
import { quoted } from '../quoted.js';
import { wholeNumber } from './options.js';
import { at, fieldsOf, withFilters } from './resources.js';
import type { Fields, Filter } from './resources.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { table } from './terminal.js';

/** Sends objects by id at once; those that a filter finds are shown first, and sent with `--yes`. */
export interface BulkWork<One, Entry> {
  readonly summary: string;
  readonly examples: readonly [one: string, many: string, ...others: string[]];
  /** Path for one object. */
  readonly onePath: string;
  /** Path for all that a filter finds. */
  readonly manyPath: string;
  readonly filters: readonly Filter[];
  /** Field that every filter needs, with an example of its option. */
  readonly needs?: readonly [field: string, example: string];
  readonly noun: readonly [one: string, many: string];
  /** What the answers for single objects come to: the document, and the text. */
  readonly done: (answers: readonly One[]) => readonly [document: unknown, text: string];
  readonly head: readonly string[];
  readonly row: (entry: Entry) => readonly string[];
}

interface Consent {
  readonly dryRun?: boolean | undefined;
  readonly yes?: boolean | undefined;
  readonly expectedCount?: number | undefined;
}

interface Given extends Consent {
  /** No filter, on purpose. */
  readonly all?: boolean;
}

/** The answer to a dry run. */
interface Survey<Entry> {
  readonly count: number;
  readonly by_target: Readonly<Record<string, number>>;
  readonly by_verdict: Readonly<Record<string, number>>;
  readonly already_sent?: Readonly<Record<string, number>>;
  readonly sample: readonly Entry[];
}

export function bulkCommand<One, Entry>(parent: Command, run: Run, usage: string, work: BulkWork<One, Entry>): void {
  withFilters(addCommand(parent, usage, work.summary, work.examples), work.filters)
    .option('--dry-run', 'show what the filter finds, and send nothing')
    .option('--yes', 'send what the filter finds')
    .option(
      '--expected-count <n>',
      'send it unless the filter finds over 10% more than this',
      wholeNumber('--expected-count', 120),
    )
    .action(
      run(async (session, ids: string[], { dryRun, yes, expectedCount, all, ...filter }: Given) => {
        // A list is where to send it, not what.
        const isFiltered = all === true || Object.values<unknown>(filter).some((value) => !Array.isArray(value));
        const isBulk = isFiltered || [dryRun, yes, expectedCount].some((each) => each !== undefined);
        const [one, many] = work.noun;
        const example = `(for example ${work.examples[0]}, or ${work.examples[1]})`;
        if (ids.length > 0 && isBulk) throw usageError(`Give either ${many} or a filter, not both ${example}.`);
        if (ids.length === 0 && !isFiltered) throw usageError(`Missing ${one} or filter ${example}.`);
        const [needed, value] = work.needs ?? [];
        if (ids.length === 0 && needed !== undefined && !Object.hasOwn(filter, needed))
          throw usageError(`Missing --${needed} (for example --${needed} ${value}).`);
        const fields = await fieldsOf(session, filter);
        if (ids.length > 0) await eachOf(session, work, ids, fields);
        else await allOf(session, work, fields, { dryRun, yes, expectedCount });
        return undefined;
      }),
    );
}

async function eachOf<One>(
  { api, show }: Session,
  { onePath, done, noun, examples }: Pick<BulkWork<One, never>, 'onePath' | 'done' | 'noun' | 'examples'>,
  ids: readonly string[],
  fields: Fields,
): Promise<void> {
  const gateway = api();
  const body = Object.keys(fields).length === 0 ? undefined : fields;
  const answers: One[] = [];
  const wrong = ids.find((id) => at(onePath, id.split('/')).includes('{'));
  if (wrong !== undefined) throw usageError(`Invalid ${noun[0]} ${quoted(wrong)} (for example ${examples[0]}).`);
  for (const id of ids) answers.push(await gateway.call<One>('POST', at(onePath, id.split('/')), body));
  show(...done(answers));
}

/** @throws CommandError (without consent) */
async function allOf<Entry>(
  session: Session,
  { manyPath, noun, head, row }: Pick<BulkWork<never, Entry>, 'manyPath' | 'noun' | 'head' | 'row'>,
  filter: Fields,
  { dryRun = false, yes = false, expectedCount }: Consent,
): Promise<void> {
  const gateway = session.api();
  const survey = async () => await gateway.call<Survey<Entry>>('POST', manyPath, { ...filter, dry_run: true });
  if (dryRun || !(yes || expectedCount !== undefined)) {
    const found = await survey();
    session.show(
      found,
      surveyText(found, noun, (sample) => table(head, sample.map(row), session.terminal.columns())),
    );
    if (dryRun || found.count === 0) return;
    throw usageError(`Nothing was sent. To send ${counted(found.count, ...noun)}, add --yes.`);
  }
  const body = { ...filter, expected_count: expectedCount ?? (await survey()).count };
  const job = await gateway.call<StartedJob>('POST', manyPath, body);
  session.show(
    job,
    `Sending ${counted(job.count, ...noun)} in job ${job.id}. To watch it: ${NAME} jobs watch ${job.id}\n`,
  );
}

function surveyText<Entry>(
  { count, sample, ...found }: Survey<Entry>,
  [, many]: readonly [string, string],
  tableOf: (sample: readonly Entry[]) => string,
): string {
  const title = `${many.charAt(0).toUpperCase()}${many.slice(1)} to send: ${count}\n`;
  const counts = [
    countsOf('by target', found.by_target),
    countsOf('by verdict', found.by_verdict),
    countsOf('already sent', found.already_sent ?? {}),
  ].join('');
  const first = sample.length < count ? `The first ${sample.length}:\n` : '';
  return `${title}${counts}${sample.length === 0 ? '' : `${first}${tableOf(sample)}`}`;
}

function countsOf(title: string, counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return parts.length === 0 ? '' : `  ${title}: ${parts.join(', ')}\n`;
}
