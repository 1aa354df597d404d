import type { Command } from 'commander';
import type { Channel } from '../contract/channels.js';
import type { Explanation } from '../contract/messages.js';
import { CommandError } from '../errors.js';
import type { Api } from './api.js';
import { explanationText } from './explanation.js';
import { at } from './resources.js';
import { addCommand } from './session.js';
import type { Run, Session } from './session.js';

/** `explain <message id>`. */
export function explainCommand(program: Command, run: Run): void {
  addCommand(program, 'explain <message-id>', 'Show everything that happened to a message, and why', [
    'explain p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg',
    'explain p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg --channel shop --json',
  ])
    .option('-c, --channel <name>', 'only in this channel; default: all channels')
    .action(run(explain));
}

async function explain({ api, show, json }: Session, id: string, options: { channel?: string }): Promise<undefined> {
  const gateway = api();
  if (options.channel !== undefined) {
    const explanation = await explanationOf(gateway, options.channel, id);
    show(explanation, explanationText(explanation));
    return;
  }
  const names = (await gateway.list<Channel>('/v1/channels')).map(({ name }) => name);
  const found = (await Promise.all(names.map(async (name) => await knownIn(gateway, name, id)))).flatMap(
    (each) => each ?? [],
  );
  if (found.length === 0) {
    const where = names.length === 0 ? 'there are no channels' : `looked in ${names.join(', ')}`;
    throw new CommandError('GW_NOT_FOUND', `No message "${id}" (${where}).`);
  }
  show(json && found.length === 1 ? found[0] : found, found.map(explanationText).join('\n'));
  return;
}

/** Null where the channel, which exists, does not know the message. */
async function knownIn(api: Api, channel: string, id: string): Promise<Explanation | null> {
  return await explanationOf(api, channel, id).catch((error: unknown) => {
    if (error instanceof CommandError && error.code === 'GW_NOT_FOUND') return null;
    throw error;
  });
}

async function explanationOf(api: Api, channel: string, id: string): Promise<Explanation> {
  return await api.call('GET', at('/v1/messages/{channel}/{message_id}', [channel, id]));
}
