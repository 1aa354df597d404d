import type { Command } from 'commander';
import { CommandError, EXIT } from '../errors.js';
import type { ExitCode } from '../errors.js';
import type { Api } from './api.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { targetFields, withTargetOptions } from './target-options.js';
import type { TargetOptions } from './target-options.js';
import { table } from './terminal.js';

interface TargetJson {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly channels: readonly string[];
  readonly events: readonly string[];
  readonly deliver: readonly string[];
  readonly enabled: boolean;
}

interface ChangedJson extends TargetJson {
  readonly warnings: readonly { readonly message: string }[];
}

interface TestJson {
  readonly delivered: boolean;
  readonly event: string;
  readonly method: string;
  readonly path: string;
  readonly duration_ms: number;
  readonly status: number | null;
  readonly error: string | null;
  readonly fix: string | null;
}

interface AddOptions extends TargetOptions {
  /** False with --no-test. */
  readonly test: boolean;
}

interface SetOptions extends TargetOptions {
  readonly name?: string;
  readonly url?: string;
}

const BY = 'A target is named by its id, or by its name where no other has it.';

/** `targets …`. */
export function targetCommands(program: Command, run: Run): void {
  const targets = program
    .command('targets')
    .description(`Bots: where webhooks go. ${BY}`)
    .summary('Bots: where webhooks go');
  addCommand(targets, 'list', 'List the targets', ['targets list']).action(run(list));
  withTargetOptions(
    addCommand(targets, 'add <name> <url>', 'Add a bot, and send it a test event', [
      'targets add bot http://127.0.0.1:3000/hook/messages --mode body --events messages.post',
      'targets add bot http://127.0.0.1:3000/hook --mode method --events messages.post',
      'targets add archive https://archive.example/in --deliver new,late,event,restored,duplicate',
      'targets add shop-bot http://127.0.0.1:3001 --channels shop --split chat --header "X-Tenant: seven"',
    ]),
  )
    .option('--no-test', 'send no test event')
    .action(run(add));
  withTargetOptions(
    addCommand(targets, 'set <target>', 'Change what the options name, and leave the rest', [
      'targets set bot --mode method --events messages.post',
      'targets set bot --url http://127.0.0.1:3000/other --timeout-ms 60000',
      'targets set bot --rate-per-second none',
    ]),
  )
    .option('--name <name>', 'another name')
    .option('--url <url>', 'another URL')
    .action(run(set));
  addCommand(targets, 'remove <target>', 'Remove a target: its pending deliveries end as dead', [
    'targets remove bot',
  ]).action(run(remove));
  addCommand(targets, 'test <target>', 'Send a test event, past the queue', ['targets test bot']).action(run(test));
  addCommand(targets, 'rotate-secret <target>', 'Make a new signing secret; the old one signs as well for a while', [
    'targets rotate-secret bot',
    'targets rotate-secret bot --grace-seconds 0',
  ])
    .option('--grace-seconds <n>', 'how long the old secret signs as well; default: a day', wholeNumber)
    .action(run(rotate));
  addCommand(targets, 'enable <target>', 'Send to it again, what waited first', ['targets enable bot']).action(
    run(async (session, target: string) => await enable(session, target, true)),
  );
  addCommand(targets, 'disable <target>', 'Let its deliveries wait; nothing is lost', ['targets disable bot']).action(
    run(async (session, target: string) => await enable(session, target, false)),
  );
}

async function list({ api, show }: Session): Promise<undefined> {
  const targets = await api().list<TargetJson>('/v1/targets');
  const rows = targets.map((each) => [
    ...[each.id, each.name, each.enabled ? 'yes' : 'no', each.channels.join(','), each.events.join(',')],
    ...[each.deliver.join(','), each.url],
  ]);
  show(targets, table(['ID', 'NAME', 'ENABLED', 'CHANNELS', 'EVENTS', 'DELIVER', 'URL'], rows));
  return;
}

/** A test that fails does not undo the adding: the target is there, and the text says what to change. */
async function add(session: Session, name: string, url: string, options: AddOptions): Promise<ExitCode> {
  const { api, terminal, json } = session;
  const fields = await targetFields(options, terminal);
  const made = await api().call<ChangedJson & { secret: string }>('POST', '/v1/targets', { name, url, ...fields });
  const added = `Target ${name} is added: ${made.id}\nIts signing secret, shown this once: ${made.secret}\n`;
  // At once: a bot that hangs takes the test as long as it may, and the secret must not wait for that.
  if (!json) terminal.write(`${added}${warningsOf(made)}`);
  const { test, words, exitCode } = options.test ? await triedOut(session, made) : UNTRIED;
  session.show({ ...made, test }, `${words}${NEXT}`);
  return exitCode;
}

const NEXT =
  'Next: channels connect <channel> --public-url <URL where Whapi reaches this gateway> (again, if it takes other events than before)\n';

interface TriedOut {
  readonly test: TestJson | null;
  readonly words: string;
  readonly exitCode: ExitCode;
}

const UNTRIED: TriedOut = { test: null, words: '', exitCode: EXIT.ok };

async function triedOut({ api }: Session, target: TargetJson): Promise<TriedOut> {
  try {
    const test = await api().call<TestJson>('POST', `/v1/targets/${target.id}/test`);
    const words = test.delivered ? '' : 'The target stays added and receives webhooks from now on.\n';
    return { test, words: `${testWords(target, test)}${words}`, exitCode: EXIT.ok };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const exitCode = error.exitCode === EXIT.interrupted ? error.exitCode : EXIT.ok;
    return { test: null, words: `It was not tested: ${error.message}\n`, exitCode };
  }
}

async function set({ api, show, terminal }: Session, target: string, options: SetOptions): Promise<undefined> {
  const { name, url } = options;
  const fields = await targetFields(options, terminal);
  const change = { ...(name !== undefined && { name }), ...(url !== undefined && { url }), ...fields };
  if (Object.keys(change).length === 0) {
    throw new CommandError(EXIT.usage, 'Nothing to change: name a setting, for example --mode method.');
  }
  const { id } = await targetOf(api(), target);
  const changed = await api().call<ChangedJson>('PATCH', `/v1/targets/${id}`, change);
  show(changed, `Target ${changed.name} is changed.\n${warningsOf(changed)}Next: targets test ${changed.name}\n`);
  return;
}

function warningsOf({ warnings }: ChangedJson): string {
  return warnings.map(({ message }) => `Warning: ${message}\n`).join('');
}

function testWords(
  { name, url }: TargetJson,
  { delivered, event, method, path, duration_ms, status, error, fix }: TestJson,
): string {
  const where = `${event} at ${method} ${path}`;
  if (delivered) return `${name} answered ${status ?? ''} to a test event (${where}) in ${duration_ms} ms.\n`;
  const remedy = fix ?? `Check that the bot is running at ${url}, then run: ${NAME} targets test ${name}`;
  return `A test event (${where}) failed: ${error ?? ''}\n→ ${remedy}\n`;
}

async function remove({ api, show }: Session, target: string): Promise<undefined> {
  const { id, name } = await targetOf(api(), target);
  await api().call('DELETE', `/v1/targets/${id}`);
  show({ removed: id }, `Target ${name} is removed.\n`);
  return;
}

async function test({ api, show }: Session, named: string): Promise<ExitCode> {
  const target = await targetOf(api(), named);
  const answer = await api().call<TestJson>('POST', `/v1/targets/${target.id}/test`);
  show(answer, testWords(target, answer));
  return answer.delivered ? EXIT.ok : EXIT.failed;
}

async function rotate({ api, show }: Session, target: string, options: { graceSeconds?: number }): Promise<undefined> {
  const { id, name } = await targetOf(api(), target);
  const { graceSeconds } = options;
  const body = graceSeconds === undefined ? {} : { grace_seconds: graceSeconds };
  const answer = await api().call<{ secret: string }>('POST', `/v1/targets/${id}/rotate-secret`, body);
  show(answer, `The new signing secret of ${name}, shown this once: ${answer.secret}\n`);
  return;
}

async function enable({ api, show }: Session, target: string, enabled: boolean): Promise<undefined> {
  const { id, name } = await targetOf(api(), target);
  const answer = await api().call<TargetJson>('PATCH', `/v1/targets/${id}`, { enabled });
  show(answer, `Target ${name} is ${enabled ? 'enabled' : 'disabled: its deliveries wait'}.\n`);
  return;
}

/** @throws CommandError (no target, or more than one) */
async function targetOf(api: Api, named: string): Promise<TargetJson> {
  const targets = await api.list<TargetJson>('/v1/targets');
  const found = targets.filter(({ id, name }) => id === named || name === named);
  const [only] = found;
  if (only && found.length === 1) return only;
  const ids = found.map(({ id }) => id).join(', ');
  throw new CommandError(
    EXIT.failed,
    only ? `Several targets are called "${named}": ${ids}.` : `There is no target "${named}". See "targets list".`,
  );
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new CommandError(EXIT.usage, `"${text}" is not a whole number.`);
  return Number(text);
}
