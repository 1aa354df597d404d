import type { Command } from 'commander';
import { CommandError, EXIT } from '../errors.js';
import type { ExitCode } from '../errors.js';
import type { Api } from './api.js';
import { addCommand, commaList } from './session.js';
import type { Run, Session } from './session.js';
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

interface AddOptions {
  readonly channels?: string[];
  readonly events?: string[];
  readonly deliver?: string[];
  readonly mode?: string;
}

const BY = 'A target is named by its id, or by its name where no other has it.';

/** `targets …`. */
export function targetCommands(program: Command, run: Run): void {
  const targets = program
    .command('targets')
    .description(`Bots: where webhooks go. ${BY}`)
    .summary('Bots: where webhooks go');
  addCommand(targets, 'list', 'List the targets', ['targets list']).action(run(list));
  addCommand(targets, 'add <name> <url>', 'Add a bot', [
    'targets add bot http://127.0.0.1:3000/hook',
    'targets add archive https://archive.example/in --deliver new,late,event,restored,duplicate',
    'targets add shop-bot http://127.0.0.1:3001 --channels shop --events messages.post',
  ])
    .option('--channels <list>', 'names of channels; default: all', commaList)
    .option('--events <list>', 'messages, messages.post, statuses.* …; default: all', commaList)
    .option('--deliver <list>', 'verdicts; default: new,late,event', commaList)
    .option('--mode <mode>', 'as_received, body, path or method; default: as_received')
    .action(run(add));
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

async function add({ api, show }: Session, name: string, url: string, options: AddOptions): Promise<undefined> {
  const { channels, events, deliver, mode } = options;
  const made = await api().call<TargetJson & { secret: string }>('POST', '/v1/targets', {
    ...{ name, url },
    ...(channels && { channels }),
    ...(events && { events }),
    ...(deliver && { deliver }),
    ...(mode !== undefined && { mode }),
  });
  show(
    made,
    `Target ${name} is added: ${made.id}\nIts signing secret, shown this once: ${made.secret}\nNext: targets test ${made.id}\n`,
  );
  return;
}

async function remove({ api, show }: Session, target: string): Promise<undefined> {
  const { id, name } = await targetOf(api(), target);
  await api().call('DELETE', `/v1/targets/${id}`);
  show({ removed: id }, `Target ${name} is removed.\n`);
  return;
}

async function test({ api, show }: Session, target: string): Promise<ExitCode> {
  const { id, name } = await targetOf(api(), target);
  interface Outcome {
    readonly delivered: boolean;
    readonly duration_ms: number;
    readonly status: number | null;
    readonly error: string | null;
  }
  const answer = await api().call<Outcome>('POST', `/v1/targets/${id}/test`);
  const words = answer.delivered
    ? `${name} answered ${answer.status ?? ''} in ${answer.duration_ms} ms.\n`
    : `${name} was not reached: ${answer.error ?? ''}\n`;
  show(answer, words);
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
