import { table } from './narrator.js';

/** One message on its way in (or out of the hold): what was to come of it and what came. */
export interface Row {
  readonly act: number;
  readonly what: string;
  readonly expected: Outcome;
  /** The gateway's verdict, or `released`. */
  readonly verdict: string;
  /** Null where the gateway judged nothing: a message was released by hand. */
  readonly rule: number | null;
  readonly answers: number;
  /** How often the bot without the gateway has answered it. */
  readonly bareAnswers: number;
}

export type Outcome = 'new' | 'late' | 'restored' | 'duplicate' | 'released';

export interface Totals {
  /** All answers of the bot, those included that belong to no row. */
  readonly answers: number;
  /** Messages of the bot that the simulated Whapi has. */
  readonly answersAtWhapi: number;
}

/** The bot is to answer what is new or late and what the owner released, once each, and nothing else. */
export function problemsOf(rows: readonly Row[], totals: Totals): string[] {
  const problems: string[] = [];
  for (const { act, what, expected, verdict, answers } of rows) {
    const wanted = isToBeAnswered(expected) ? 1 : 0;
    if (verdict !== expected) problems.push(`Act ${act}, ${what}: the verdict was ${verdict}, not ${expected}.`);
    if (answers !== wanted) problems.push(`Act ${act}, ${what}: the bot answered ${times(answers)}, not ${wanted}.`);
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
  const cells = rows.map(({ act, what, verdict, rule, answers, bareAnswers }) => [
    String(act),
    what,
    rule === null ? verdict : `${verdict} (${rule})`,
    answered(answers),
    rule === null ? '-' : answered(bareAnswers),
  ]);
  return table([['Act', 'What came in', 'Verdict (rule)', 'Bot answered', 'Without gateway'], ...cells]);
}

/** One sentence on the bot behind the gateway. */
export function totalsOf(rows: readonly Row[]): string {
  const [fresh, late, released] = [rowsOf(rows, 'new'), rowsOf(rows, 'late'), rowsOf(rows, 'released')];
  const old = rows.filter(isOld);
  return (
    `Answers: ${countAnswers(fresh)} to ${fresh.length} new messages, ${countAnswers(late)} to ${late.length} late, ` +
    `${countAnswers(old)} to ${old.length} old or repeated ones, ` +
    `${countAnswers(released)} to ${released.length} released by hand.`
  );
}

/** One sentence on the bot without it. */
export function contrastOf(rows: readonly Row[]): string {
  const count = (outcome: Outcome): number => sum(rowsOf(rows, outcome), ({ bareAnswers }) => bareAnswers);
  const wrong = sum(rows.filter(isOld), ({ bareAnswers }) => bareAnswers);
  return (
    `Without the gateway: the copy of the bot that got the same webhooks straight from Whapi gave ${wrong} answers too ` +
    `many, ${count('restored')} to old messages that were brought back and ${count('duplicate')} to a webhook sent twice.`
  );
}

const isToBeAnswered = (outcome: Outcome): boolean => outcome === 'new' || outcome === 'late' || outcome === 'released';
const isOld = ({ expected }: Row): boolean => !isToBeAnswered(expected);
const rowsOf = (rows: readonly Row[], outcome: Outcome): Row[] => rows.filter(({ expected }) => expected === outcome);
const countAnswers = (rows: readonly Row[]): number => sum(rows, ({ answers }) => answers);
const times = (count: number): string => `${count} ${count === 1 ? 'time' : 'times'}`;

function answered(count: number): string {
  return count === 0 ? 'no' : count === 1 ? 'yes' : `yes, ${times(count)}`;
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}
