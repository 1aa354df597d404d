import { counted } from '../quantities.js';
import { table } from './narrator.js';

/** One incoming or released message: the expected and the actual result. */
export interface Row {
  readonly act: number;
  readonly what: string;
  readonly expected: Outcome;
  /** The gateway's verdict, or `released`. */
  readonly verdict: string;
  /** Null for a message that was released manually: the gateway judged nothing. */
  readonly rule: number | null;
  readonly answers: number;
  /** How often the bot that gets Whapi's webhooks directly answered it. */
  readonly directAnswers: number;
}

export type Outcome = 'new' | 'late' | 'restored' | 'duplicate' | 'released';

export interface Totals {
  /** All answers of the bot, including those that belong to no row. */
  readonly answers: number;
  /** Messages of the bot that the simulated Whapi has. */
  readonly answersAtWhapi: number;
}

/** Checks that the bot answered each new, late and released message exactly once, and nothing else. */
export function problemsOf(rows: readonly Row[], totals: Totals): string[] {
  const problems: string[] = [];
  for (const { act, what, expected, verdict, answers } of rows) {
    const wanted = shouldBeAnswered(expected) ? 1 : 0;
    if (verdict !== expected) problems.push(`Act ${act}, ${what}: the verdict was ${verdict}, not ${expected}.`);
    if (answers !== wanted)
      problems.push(`Act ${act}, ${what}: the bot answered ${counted(answers, 'time')}, not ${wanted}.`);
  }
  const listed = sum(rows, ({ answers }) => answers);
  if (totals.answers !== listed)
    problems.push(`Answers of the bot: ${totals.answers}; to the messages above: ${listed}.`);
  if (totals.answersAtWhapi !== totals.answers) {
    problems.push(`Answers of the bot: ${totals.answers}; at Whapi: ${totals.answersAtWhapi}.`);
  }
  return problems;
}

export function summaryOf(rows: readonly Row[]): string[] {
  const cells = rows.map(({ act, what, verdict, rule, answers, directAnswers }) => [
    String(act),
    what,
    rule === null ? verdict : `${verdict} (${rule})`,
    answered(answers),
    rule === null ? '-' : answered(directAnswers),
  ]);
  return table([['Act', 'What came in', 'Verdict (rule)', 'Bot answered', 'Without gateway'], ...cells]);
}

/** One sentence about the bot behind the gateway. */
export function totalsOf(rows: readonly Row[]): string {
  const [fresh, late, released] = [rowsOf(rows, 'new'), rowsOf(rows, 'late'), rowsOf(rows, 'released')];
  const old = rows.filter(isOld);
  return (
    `Answers: ${countAnswers(fresh)} to ${fresh.length} new messages, ${countAnswers(late)} to ${late.length} late, ` +
    `${countAnswers(old)} to ${old.length} old or repeated, ` +
    `${countAnswers(released)} to ${released.length} released manually.`
  );
}

/** One sentence about the bot without the gateway. */
export function contrastOf(rows: readonly Row[]): string {
  const count = (outcome: Outcome): number => sum(rowsOf(rows, outcome), ({ directAnswers }) => directAnswers);
  const wrong = sum(rows.filter(isOld), ({ directAnswers }) => directAnswers);
  return (
    `Without the gateway, a copy of the bot that got the same webhooks directly from Whapi gave ${wrong} wrong answers: ` +
    `${count('restored')} to old messages that came back and ${count('duplicate')} to a webhook sent twice.`
  );
}

const shouldBeAnswered = (outcome: Outcome): boolean =>
  outcome === 'new' || outcome === 'late' || outcome === 'released';
const isOld = ({ expected }: Row): boolean => !shouldBeAnswered(expected);
const rowsOf = (rows: readonly Row[], outcome: Outcome): Row[] => rows.filter(({ expected }) => expected === outcome);
const countAnswers = (rows: readonly Row[]): number => sum(rows, ({ answers }) => answers);

function answered(count: number): string {
  return count === 0 ? 'no' : count === 1 ? 'yes' : `yes, ${counted(count, 'time')}`;
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}
