import type { Command } from 'commander';
import { CommandError, EXIT } from '../errors.js';
import type { Api } from './api.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';

interface ExplanationJson {
  readonly channel: string;
  readonly message_id: string;
  readonly timeline: readonly { readonly at: string; readonly text: string }[];
  readonly sightings: readonly { readonly id: string; readonly held: boolean }[];
  readonly deliveries: readonly { readonly id: string; readonly waiting: string | null }[];
  readonly ledger: { readonly first_seen_at: string | null; readonly last_seen_at: string } | null;
}

/** `explain <message id>`. */
export function explainCommand(program: Command, run: Run): void {
  addCommand(program, 'explain <message-id>', 'Tell everything that happened to a message, and why', [
    'explain p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg',
    'explain p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg --channel shop --json',
  ])
    .option('-c, --channel <name>', 'the channel; left out, all are looked through')
    .action(run(explain));
}

async function explain({ api, show, json }: Session, id: string, options: { channel?: string }): Promise<undefined> {
  const gateway = api();
  const names =
    options.channel === undefined
      ? (await gateway.list<{ name: string }>('/v1/channels')).map(({ name }) => name)
      : [options.channel];
  const found = (await Promise.all(names.map(async (name) => await explanationOf(gateway, name, id)))).filter(
    (each) => each !== null,
  );
  if (found.length === 0)
    throw new CommandError(EXIT.failed, `Nothing is known of ${id} in ${names.join(', ') || 'any channel'}.`);
  show(json && found.length === 1 ? found[0] : found, found.map(explanationText).join('\n'));
  return;
}

async function explanationOf(api: Api, channel: string, id: string): Promise<ExplanationJson | null> {
  const path = `/v1/messages/${encodeURIComponent(channel)}/${encodeURIComponent(id)}`;
  return await api.call<ExplanationJson>('GET', path).catch((error: unknown) => {
    if (error instanceof CommandError && error.message.startsWith('GW_NOT_FOUND: Nothing is known')) return null;
    throw error;
  });
}

function explanationText({
  channel,
  message_id: id,
  timeline,
  sightings,
  deliveries,
  ledger,
}: ExplanationJson): string {
  const remembered =
    ledger === null
      ? 'Not in the ledger.'
      : `In the ledger: ${ledger.first_seen_at === null ? 'asked for, never seen' : `first seen ${ledger.first_seen_at}`}.`;
  const steps = timeline.map(({ at, text }) => `  ${at}  ${text}\n`).join('');
  const waiting = deliveries.flatMap((each) =>
    each.waiting === null ? [] : [`Delivery ${each.id} is pending: ${each.waiting}.\n`],
  );
  const heldItem = sightings.findLast(({ held }) => held)?.id;
  const release = heldItem === undefined ? '' : `Held. Release it to your bots: ${NAME} release ${heldItem}\n`;
  return `${id} in channel ${channel}\n${steps}${remembered}\n${waiting.join('')}${release}`;
}
