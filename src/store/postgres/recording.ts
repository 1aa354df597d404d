import { inSlices } from '../../event-loop.js';
import type { Document } from '../../intake/decode.js';
import { SECOND_MS } from '../../durations.js';
import type { IncomingWebhook } from '../../model.js';
import { WebhookRecorder } from '../rules/recorder.js';
import type { Recovery } from '../rules/recorder.js';
import { refusalOf } from '../rules/refusal.js';
import { ReplayWatch } from '../../intake/replays.js';
import type { Base } from './base.js';
import type { Outcome } from './batches.js';
import type { Queries, Transaction } from './queries.js';
import { keyOf } from './keys.js';
import { rankAgain } from './new-deliveries.js';
import { blocksFor, Numbers, SKIP_BLOCKS, takeBlocks } from './numbers.js';
import { keysOf, readKnown } from './recording-reads.js';
import { RecordingState } from './recording-state.js';
import { writeAndCommit } from './recording-writes.js';
import type { RegistryState } from './registry-cache.js';
import type { Recorded } from '../intake.js';

/** A webhook to record. */
export interface Incoming {
  readonly webhook: IncomingWebhook;
  readonly document: Document;
  /** Left out: it came from Whapi. */
  readonly recovery?: Recovery;
}

/** What to record once its channel is locked, and what to write with it. */
export interface Chosen {
  readonly batch: readonly Incoming[];
  /** Further statements of the same transaction. */
  readonly write: (tx: Transaction) => readonly Promise<unknown>[];
}

interface ReplayRow {
  readonly channel: string;
  readonly began_at: number;
  readonly last_at: number;
  readonly messages: number;
  readonly held: number;
  readonly oldest_sent_at: number;
}

/** Records webhooks, several in one transaction: two round trips, however many they are (I1, I3). */
export class Recording {
  readonly #base: Base;
  #lastBlock = -Infinity;

  constructor(base: Base) {
    this.#base = base;
  }

  /**
   * A webhook that is refused (GW_NOT_FOUND, GW_CHANNEL_MISMATCH) does not affect the others.
   * @throws GatewayError GW_STORE_UNAVAILABLE for all of them
   */
  async record(batch: readonly Incoming[]): Promise<Outcome<Recorded>[]> {
    const { db, registry } = this.#base;
    const { targets } = await registry.current();
    const { outcomes, hasBound } = await db.transaction(async (tx) => await this.#recordIn(tx, batch, targets.size));
    if (hasBound) registry.forget();
    return outcomes;
  }

  /**
   * Records webhooks of a channel that `choose` selects once the channel is locked, so that nothing else records or releases
   * them. All of it is one transaction, which may run again.
   * @throws what `choose` throws; GatewayError GW_STORE_UNAVAILABLE
   */
  async recordChosen(
    channel: string,
    choose: (tx: Transaction, registry: RegistryState) => Promise<Chosen>,
  ): Promise<Outcome<Recorded>[]> {
    const { db, registry } = this.#base;
    const { outcomes, hasBound } = await db.transaction(async (tx) => {
      await tx.lockChannels([channel]);
      const settings = await registry.in(tx);
      const { batch, write } = await choose(tx, settings);
      const written = write(tx);
      for (const each of written) each.catch(() => undefined); // awaited below
      const recorded = await this.#recordLocked(tx, batch, settings.targets.size);
      await Promise.all(written);
      return recorded;
    });
    if (hasBound) registry.forget();
    return outcomes;
  }

  async #recordIn(tx: Transaction, batch: readonly Incoming[], targetsBefore: number) {
    const locked = tx.lockChannels(new Set(batch.map(({ webhook }) => webhook.channel)));
    locked.catch(() => undefined); // reported by the statements behind it
    const recorded = await this.#recordLocked(tx, batch, targetsBefore);
    await locked;
    return recorded;
  }

  /** Records behind the locks, which were sent before. */
  async #recordLocked(tx: Transaction, batch: readonly Incoming[], targetsBefore: number) {
    const { registry, idDays, now: clock } = this.#base;
    const all = batch.map(({ webhook, document }) => ({ channel: webhook.channel, document }));
    const keys = await inSlices(keysOf(all));
    const read = await readKnown(tx, all, keys, numbersFor(batch, targetsBefore));
    const now = clock(); // once the locks are held: no later recorder of these channels has an earlier time
    const settings = await registry.in(tx, read.registryVersion);
    const replays = await this.#replaysOf(tx, batch, settings, now);
    const numbers = numbersFor(batch, settings.targets.size);
    const blocks = await this.#newerBlocks(tx, await enoughBlocks(tx, read.blocks, numbers));
    const state = new RecordingState(read.loaded, settings, new Numbers(blocks, idDays.timeAt(now)));
    const outcomes = await this.#recordAll(batch, state, replays.watch, now);
    const added = state.deliveries.map(({ delivery }) => delivery);
    await Promise.all([rankAgain(tx, settings, added, now), writeAndCommit(tx, state, registry, replays)]);
    return { outcomes, hasBound: state.bound.size > 0 };
  }

  /**
   * Behind a pooler, nothing tells that a standby has taken over. If it was behind, its sequence gives again what bots have
   * seen as `webhook-id`.
   */
  async #newerBlocks(tx: Transaction, taken: readonly number[]): Promise<readonly number[]> {
    let blocks = taken;
    while ((blocks[0] ?? Infinity) <= this.#lastBlock) {
      await tx.all(SKIP_BLOCKS);
      blocks = await takeBlocks(tx, taken.length);
    }
    this.#lastBlock = blocks.at(-1) ?? this.#lastBlock;
    return blocks;
  }

  async #recordAll(
    batch: readonly Incoming[],
    state: RecordingState,
    watch: ReplayWatch,
    now: number,
  ): Promise<Outcome<Recorded>[]> {
    const recorder = new WebhookRecorder({
      ...{ registry: state, known: state, rows: state, deliveries: state, replays: watch },
      nextId: () => state.nextId(),
    });
    const outcomes: Outcome<Recorded>[] = [];
    for (const { webhook, document, recovery = null } of batch) {
      const refusal = refusalOf(state, webhook, document);
      if (refusal) outcomes.push({ refusal });
      else outcomes.push({ result: await inSlices(recorder.recordInSlices(webhook, document, now, recovery)) });
    }
    return outcomes;
  }

  /** The replays of channels that got an old message; for all others nothing is read. */
  async #replaysOf(queries: Queries, batch: readonly Incoming[], { channels }: RegistryState, now: number) {
    const names = new Set<string>();
    for (const { webhook, document } of batch) {
      const settings = channels.get(webhook.channel);
      if (!settings) continue;
      const before = now / SECOND_MS - settings.replayAfterSeconds;
      if (document.items.some(({ timestamp }) => timestamp !== null && timestamp < before)) names.add(webhook.channel);
    }
    return { watch: await readReplays(queries, [...names]), channels: [...names] };
  }
}

/** What is known of the replays of these channels. */
export async function readReplays(queries: Queries, channels: readonly string[]): Promise<ReplayWatch> {
  if (channels.length === 0) return new ReplayWatch();
  const [replays, arrivals] = await Promise.all([
    queries.all<ReplayRow>(
      'SELECT channel, began_at, last_at, messages, held, oldest_sent_at FROM gateway.replays WHERE channel = ANY($1::text[])',
      channels,
    ),
    queries.all<{ channel: string; key: string; at: number; sent_at: number }>(
      'SELECT channel, key, at, sent_at FROM gateway.replay_arrivals WHERE channel = ANY($1::text[]) ORDER BY at',
      channels,
    ),
  ]);
  return new ReplayWatch(
    replays.map(({ channel, began_at: beganAt, last_at: lastAt, messages, held, oldest_sent_at: oldestSentAt }) => [
      channel,
      { beganAt, lastAt, messages, held, oldestSentAt },
    ]),
    arrivals.map(({ channel, key, at, sent_at: sentAt }) => ({ channel, key: keyOf(key), at, sentAt })),
  );
}

/** How many numbers these webhooks and their deliveries take at most: a target may want one delivery per item. */
function numbersFor(batch: readonly Incoming[], targets: number): number {
  return batch.reduce((sum, { document }) => sum + 1 + Math.max(1, document.items.length) * targets, 0);
}

/** A target may have been added since the numbers were requested. */
async function enoughBlocks(tx: Transaction, blocks: readonly number[], numbers: number): Promise<readonly number[]> {
  const missing = blocksFor(numbers) - blocks.length;
  if (missing <= 0) return blocks;
  return [...blocks, ...(await takeBlocks(tx, missing))];
}
