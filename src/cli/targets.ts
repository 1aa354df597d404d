import type { Command } from 'commander';
import type { ChangedTarget, CreatedTarget, RotatedSecret, Target, TargetTest } from '../contract/targets.js';
import { CommandError, EXIT, usageError } from '../errors.js';
import type { ExitCode } from '../errors.js';
import { factsText } from './facts.js';
import { targetOf } from './named-target.js';
import { showPreview, wantsPreview, withPreview } from './preview.js';
import type { PreviewOptions } from './preview.js';
import { removeAt, withYes } from './removal.js';
import type { RemoveOptions } from './removal.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { wholeNumber, withoutDefaults } from './options.js';
import { checkedSecret, secretFrom } from './secrets.js';
import { targetFields, withTargetOptions } from './target-options.js';
import type { TargetOptions } from './target-options.js';
import { table } from './terminal.js';

interface AddOptions extends TargetOptions {
  /** False with --no-test. */
  readonly test: boolean;
}

interface SetOptions extends TargetOptions, PreviewOptions {
  readonly name?: string;
  readonly url?: string;
}

const BY = 'Give a target by its id, or by its name if that is unique.';

/** `targets …`. */
export function targetCommands(program: Command, run: Run): void {
  const targets = program
    .command('targets')
    .description(`Bots that receive webhooks. ${BY}`)
    .summary('Bots that receive webhooks');
  addCommand(targets, 'list', 'List the targets', ['targets list']).action(run(list));
  addCommand(targets, 'show <target>', 'Show a target: its settings, its circuit breaker and what waits', [
    'targets show bot',
  ]).action(run(showTarget));
  withTargetOptions(
    addCommand(targets, 'add <name> <url>', 'Add a bot and send it a test event', [
      'targets add bot http://127.0.0.1:3000/hook/messages --mode body --events messages.post',
      'targets add bot http://127.0.0.1:3000/hook --mode method --events messages.post',
      'targets add archive https://archive.example/in --deliver new,late,event,restored,duplicate',
      'targets add shop-bot http://127.0.0.1:3001 --channels shop --split chat --header "X-Tenant: seven"',
    ]),
  )
    .option('--no-test', 'do not send a test event')
    .action(run(add));
  withPreview(
    withoutDefaults(
      withTargetOptions(
        addCommand(targets, 'set <target>', 'Change the settings that are given, and keep the rest', [
          'targets set bot --mode method --events messages.post',
          'targets set bot --url http://127.0.0.1:3000/other --timeout-ms 60000',
          'targets set bot --rate-per-second none',
          'targets set bot --backlog-policy newest_per_chat --backlog-rate-per-minute 10 --skip-answered',
          'targets set bot --max-age-seconds 3600 --preview --since 7d',
        ]),
      ),
    ),
  )
    .option('--name <name>', 'new name')
    .option('--url <url>', 'new URL')
    .action(run(set));
  withYes(
    addCommand(targets, 'remove <target>', 'Remove a target. Its pending deliveries end as dead', [
      'targets remove bot',
      'targets remove bot --yes',
    ]),
  ).action(run(remove));
  addCommand(targets, 'test <target>', 'Send a test event at once, without queueing it', ['targets test bot']).action(
    run(test),
  );
  addCommand(targets, 'rotate-secret <target>', 'Make a new signing secret. The old one keeps signing for a while', [
    'targets rotate-secret bot',
    'targets rotate-secret bot --grace-seconds 0',
  ])
    .option(
      '--grace-seconds <n>',
      'how long the old secret keeps signing; default: 86400',
      wholeNumber('--grace-seconds', 86_400),
    )
    .option('--secret-file <path>', 'file with the new secret (whsec_…); - reads standard input; default: a new one')
    .action(run(rotate));
  addCommand(targets, 'enable <target>', 'Resume deliveries, those that waited first', ['targets enable bot']).action(
    run(async (session, target: string) => await enable(session, target, true)),
  );
  addCommand(targets, 'disable <target>', 'Pause deliveries. They wait, and none is lost', [
    'targets disable bot',
  ]).action(run(async (session, target: string) => await enable(session, target, false)));
}

async function list({ api, show, terminal }: Session): Promise<undefined> {
  const targets = await api().list<Target>('/v1/targets');
  const rows = targets.map((each) => [
    ...[each.id, each.name, each.enabled ? 'yes' : 'no', each.channels.join(','), each.events.join(',')],
    ...[each.deliver.join(','), each.url],
  ]);
  const none = `No targets yet. To add one: ${NAME} targets add <name> <url>\n`;
  const head = ['ID', 'NAME', 'ENABLED', 'CHANNELS', 'EVENTS', 'DELIVER', 'URL'];
  show(targets, rows.length === 0 ? none : table(head, rows, terminal.columns()));
  return;
}

async function showTarget({ api, show, terminal }: Session, named: string): Promise<undefined> {
  const { id } = await targetOf(api(), named);
  const target = await api().call<Target>('GET', `/v1/targets/${id}`);
  show(target, factsText(target, terminal.columns()));
  return;
}

/** The target stays when its test fails; the text says what to change. */
async function add(session: Session, name: string, url: string, options: AddOptions): Promise<ExitCode> {
  const { api, terminal, json } = session;
  const fields = await targetFields(options, terminal);
  const made = await api().call<CreatedTarget>('POST', '/v1/targets', { name, url, ...fields });
  const added = `Target ${name} added: ${made.id}\nSigning secret, shown only now: ${made.secret}\n`;
  // Before the test: a bot that hangs delays its end, and the secret must not wait for that.
  if (!json) terminal.write(`${added}${warningsOf(made)}`);
  const { test, words, exitCode } = options.test ? await testOutcomeOf(session, made) : UNTESTED;
  session.show({ ...made, test }, `${words}${NEXT}`);
  return exitCode;
}

const NEXT = `Next: ${NAME} channels connect <channel> --public-url <URL under which Whapi reaches this gateway>\n`;

interface TestOutcome {
  readonly test: TargetTest | null;
  readonly words: string;
  readonly exitCode: ExitCode;
}

const UNTESTED: TestOutcome = { test: null, words: '', exitCode: EXIT.ok };

async function testOutcomeOf({ api }: Session, target: Pick<Target, 'id' | 'name' | 'url'>): Promise<TestOutcome> {
  try {
    const test = await api().call<TargetTest>('POST', `/v1/targets/${target.id}/test`);
    const words = test.delivered ? '' : 'The target stays and receives webhooks from now on.\n';
    return { test, words: `${testWords(target, test)}${words}`, exitCode: EXIT.ok };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const exitCode = error.code === 'GW_INTERRUPTED' ? EXIT.interrupted : EXIT.ok;
    return { test: null, words: `Not tested: ${error.message}\n`, exitCode };
  }
}

async function set(session: Session, target: string, options: SetOptions): Promise<undefined> {
  const { api, show, terminal } = session;
  const { name, url } = options;
  const isPreview = wantsPreview(options);
  const fields = await targetFields(options, terminal);
  const change = { ...(name !== undefined && { name }), ...(url !== undefined && { url }), ...fields };
  if (Object.keys(change).length === 0) {
    throw usageError('Missing setting to change (for example --mode method).');
  }
  const { id } = await targetOf(api(), target);
  if (isPreview) {
    await showPreview(session, `/v1/targets/${id}`, change, options);
    return;
  }
  const changed = await api().call<ChangedTarget>('PATCH', `/v1/targets/${id}`, change);
  show(changed, `Target ${changed.name} changed.\n${warningsOf(changed)}Next: ${NAME} targets test ${changed.name}\n`);
  return;
}

function warningsOf({ warnings }: Pick<ChangedTarget, 'warnings'>): string {
  return warnings.map(({ message }) => `Warning: ${message}\n`).join('');
}

function testWords(
  { name, url }: Pick<Target, 'name' | 'url'>,
  { delivered, event, method, path, duration_ms, status, error, fix }: TargetTest,
): string {
  const where = `${event} at ${method} ${path}`;
  if (delivered) return `${name} answered ${status ?? ''} to a test event (${where}) in ${duration_ms} ms.\n`;
  const remedy = fix ?? `Check that the bot is running at ${url}, then run: ${NAME} targets test ${name}`;
  return `A test event (${where}) failed: ${error ?? ''}\n→ ${remedy}\n`;
}

async function remove({ api, show }: Session, target: string, options: RemoveOptions): Promise<undefined> {
  const { id, name } = await targetOf(api(), target);
  await removeAt(api(), `/v1/targets/${id}`, `Target ${name}`, options);
  show({ removed: id }, `Target ${name} removed.\n`);
  return;
}

async function test({ api, show }: Session, named: string): Promise<ExitCode> {
  const target = await targetOf(api(), named);
  const answer = await api().call<TargetTest>('POST', `/v1/targets/${target.id}/test`);
  show(answer, testWords(target, answer));
  return answer.delivered ? EXIT.ok : EXIT.failed;
}

interface RotateOptions {
  readonly graceSeconds?: number;
  readonly secretFile?: string;
}

async function rotate({ api, show, terminal }: Session, target: string, options: RotateOptions): Promise<undefined> {
  const { graceSeconds, secretFile: file } = options;
  const body = {
    ...(graceSeconds !== undefined && { grace_seconds: graceSeconds }),
    ...(file !== undefined && {
      secret: checkedSecret(await secretFrom(file, '--secret-file', terminal), 'signing secret'),
    }),
  };
  const { id, name } = await targetOf(api(), target);
  const answer = await api().call<RotatedSecret>('POST', `/v1/targets/${id}/rotate-secret`, body);
  show(answer, `New signing secret of ${name}, shown only now: ${answer.secret}\n`);
  return;
}

async function enable({ api, show }: Session, target: string, enabled: boolean): Promise<undefined> {
  const { id, name } = await targetOf(api(), target);
  const answer = await api().call<ChangedTarget>('PATCH', `/v1/targets/${id}`, { enabled });
  show(answer, `Target ${name} ${enabled ? 'enabled' : 'disabled. Its deliveries wait'}.\n`);
  return;
}
