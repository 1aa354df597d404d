import { inSlices } from '../../event-loop.js';
import type { Document } from '../../intake/decode.js';
import { nameOf } from '../../intake/event.js';
import type { Channel, IncomingWebhook } from '../../model.js';
import { WebhookRecorder } from '../rules/recorder.js';
import type { EvidenceColumns, SightingColumns } from '../rules/recording.js';
import type { EvidenceRow } from '../rules/evidence-views.js';
import { placeOf } from '../rules/item-views.js';
import { PROBE, withoutItself } from '../rules/trials.js';
import type { JudgedView } from '../rules/trials.js';
import type { Base } from './base.js';
import type { EvidenceViews } from './evidence.js';
import { uuidOf } from './keys.js';
import { Numbers } from './numbers.js';
import { readReplays } from './recording.js';
import { keysOf, readKnown } from './recording-reads.js';
import { RecordingState } from './recording-state.js';
import { RegistryState } from './registry-cache.js';
import type { SightingRow } from './sightings.js';

/** The ids of a trial are those of no row: it has a webhook and at most one delivery. */
const BLOCKS_OF_A_TRIAL = [0];

/** Judges webhooks as if they came now: by the code that records, from what is known, without writing anything. */
export class Trials {
  readonly #base: Base;
  readonly #evidence: EvidenceViews;

  constructor(base: Base, evidence: EvidenceViews) {
    this.#base = base;
    this.#evidence = evidence;
  }

  /** @param channel with the settings to try */
  async judge(webhook: IncomingWebhook, document: Document, channel: Channel): Promise<JudgedView[]> {
    const now = this.#base.now();
    const state = await this.#recorded(webhook, document, channel, now);
    const event = nameOf(document.event);
    const rows = state.sightings.map((each) => sightingRow(each, { channel: channel.name, event, now }));
    const views = await this.#evidence.items(rows, new Map(state.evidenceRows.map(keptRow)));
    const unseen = recoveredPositions(state);
    return rows.flatMap(({ verdict, rule, position }, at) => {
      const view = views[at];
      const recover = verdict === 'restored' && unseen.has(position);
      return view ? [{ view: withoutItself(view, now), verdict, rule, recover }] : [];
    });
  }

  async #recorded(
    webhook: IncomingWebhook,
    document: Document,
    channel: Channel,
    now: number,
  ): Promise<RecordingState> {
    const { db } = this.#base;
    const all = [{ channel: channel.name, document }];
    const keys = await inSlices(keysOf(all));
    const [{ loaded }, replays] = await Promise.all([readKnown(db, all, keys, 0), readReplays(db, [channel.name])]);
    const settings = new RegistryState(
      0,
      new Map([[channel.name, channel]]),
      new Map([[PROBE.id, { number: 0, target: PROBE }]]),
    );
    const state = new RecordingState(loaded, settings, new Numbers(BLOCKS_OF_A_TRIAL, now));
    const recorder = new WebhookRecorder({
      ...{ registry: state, known: state, rows: state, deliveries: state, replays },
      nextId: () => state.nextId(),
    });
    await inSlices(recorder.recordInSlices(webhook, document, now));
    return state;
  }
}

function sightingRow(
  { webhookId, position, carrier, messageKey, messageId, verdict, rule, isHeld }: SightingColumns,
  { channel, event, now }: { readonly channel: string; readonly event: string; readonly now: number },
): SightingRow {
  return {
    ...{ webhook_id: webhookId, position, channel, event, carrier, verdict, rule, held: isHeld, received_at: now },
    ...{ message_id: messageId, message_key: messageKey && uuidOf(messageKey), audit: null },
  };
}

function keptRow(row: EvidenceColumns): readonly [string, EvidenceRow] {
  const kept = {
    recorded_at: row.recordedAt ?? null,
    newest_sent_at: row.newestSentAt ?? null,
    newest_received_at: row.newestReceivedAt ?? null,
    sent_at: row.sentAt ?? null,
    late_after_seconds: row.lateAfterSeconds ?? null,
    same_as: row.sameAs ?? null,
    replay_began_at: row.replayBeganAt ?? null,
    replay_after_seconds: row.replayAfterSeconds ?? null,
  };
  return [placeOf({ webhook_id: row.webhookId, position: row.position }), kept];
}

/** What the probe gets: new messages, and restored ones that no bot has seen. */
function recoveredPositions({ deliveries }: RecordingState): ReadonlySet<number> {
  const [placed] = deliveries;
  return new Set(placed ? (placed.delivery.positions ?? placed.delivery.verdicts.keys()) : []);
}
