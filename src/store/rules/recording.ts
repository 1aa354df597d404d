import type { Channel, IncomingWebhook, Verdict } from '../../model.js';
import type { Sliced } from '../../slices.js';
import type { Delivery } from '../outbox.js';
import type { Replay } from '../traffic.js';
import type { LedgerFacts } from './ledger-facts.js';
import type { NumberedTarget } from './registry-rows.js';

/** What an engine gives to the recorder (recorder.ts), and what it takes from it. Keys are those of keys.ts. */

/** What is known when an item is judged. Each is looked up only when a rule needs it. */
export interface Known {
  /** Null: the ledger does not know it. */
  id(key: Buffer): LedgerFacts | null;
  /** The windows of a registered id that are not closed yet; some may have run out. */
  windows(key: Buffer): readonly RegistrationWindow[];
  /** When a fingerprint was recorded that is in no ledger row; undefined: it was not. */
  fingerprintAt(key: Buffer): number | undefined;
  newestInChat(chat: Buffer): NewestInChat | undefined;
  /** The last event of an object, unless it was recorded at `since` or before. */
  lastOfObject(key: Buffer, since: number): LastOfObject | undefined;
  /** Whether a chat got a message after this time. */
  hasMessageSince(chat: Buffer, time: number): boolean;
  /** Whether a registered message that Whapi has found again may be as old as this. */
  mayBeShown(timestamp: number | null): boolean;
  /** The registered message that this one is, under another id (rule 18). */
  shown(candidate: Candidate, now: number): ShownMessage | null;
}

export interface RegistrationWindow {
  /** Null: it is open without an end, because nothing was asked yet. */
  readonly closesAt: number | null;
  /** Whapi refused the call. */
  readonly isRefused: boolean;
  readonly deliverUnseen: boolean;
}

/** The newest message of a chat. */
export interface NewestInChat {
  /** Unix seconds. */
  readonly timestamp: number;
  readonly receivedAt: number;
}

export interface LastOfObject {
  /** The concatenated fingerprints of its items in the newest webhook. */
  readonly last: Buffer;
  readonly recordedAt: number;
}

/** A registered message that Whapi has found again. */
export interface ShownMessage {
  /** Of the registered id. */
  readonly key: Buffer;
  readonly messageId: string;
}

/** What is known of a message that may be one of them. */
export interface Candidate {
  readonly channel: string;
  /** As Whapi shows it. */
  readonly message: unknown;
  /** Of its id. */
  readonly key: Buffer;
  /** Its id was known before. */
  readonly isKnown: boolean;
}

/** What the recorder writes. For use inside a transaction. */
export interface RecordingRows {
  webhook(row: WebhookColumns): void;
  sighting(row: SightingColumns): void;
  evidence(row: EvidenceColumns): void;
  /** An id that the ledger does not know. */
  newId(key: Buffer, facts: LedgerFacts): void;
  /** An id that it knows. */
  knownId(key: Buffer, facts: LedgerFacts): void;
  /** Only if it is newer than what is saved. Time in Unix seconds. */
  messageInChat(chat: Buffer, sentAt: number, now: number): void;
  /** The same for a message that the number itself wrote. */
  answerInChat(chat: Buffer, sentAt: number, now: number): void;
  fingerprint(key: Buffer, now: number): void;
  saveLastOfObject(key: Buffer, last: Buffer, now: number): void;
  /** The message of a registration has come. */
  restored(key: Buffer, now: number): void;
  /** A shown message has come, under the id with the key `cameAs`. */
  shownCame(key: Buffer, cameAs: Buffer): void;
  replay(channel: string, replay: Replay): void;
  /** The first webhook with a channel id binds it to the channel. */
  boundChannel(channel: Channel): void;
}

export interface WebhookColumns {
  readonly id: number;
  readonly receivedAt: number;
  readonly webhook: IncomingWebhook;
  readonly event: string;
  readonly body: Buffer;
  readonly audit: string | null;
}

export interface SightingColumns {
  readonly webhookId: number;
  readonly position: number;
  readonly carrier: string;
  readonly messageKey: Buffer | null;
  readonly messageId: string | null;
  readonly verdict: Verdict;
  readonly rule: number;
  readonly isHeld: boolean;
  readonly isPlaceholder: boolean;
}

/** What a verdict was based on, if later webhooks overwrite that. What is left out is null. */
export interface EvidenceColumns {
  readonly webhookId: number;
  readonly position: number;
  /** When the same bytes were recorded before. */
  readonly recordedAt?: number;
  readonly newestSentAt?: number;
  readonly newestReceivedAt?: number;
  readonly sentAt?: number | null;
  readonly lateAfterSeconds?: number;
  readonly sameAs?: string | null;
  readonly replayBeganAt?: number;
  readonly replayAfterSeconds?: number;
}

/** A delivery to insert, made by a recorded webhook or by a release. */
export interface NewDelivery {
  readonly webhookId: number;
  readonly target: number;
  readonly channel: string;
  /** The concatenated keys of its lanes (I6), without repetitions. */
  readonly lanes: Buffer;
  readonly verdicts: readonly Verdict[];
  /** The items of the webhook that it carries; null: all of them. */
  readonly positions: readonly number[] | null;
  /** Null: the body of the webhook. */
  readonly body: Buffer | null;
  /** Unix seconds; null: it never expires by age. */
  readonly newestMessageAt: number | null;
  /** A manual release made it. */
  readonly released?: true;
}

/** The webhook of a new delivery. */
export interface RecordedWebhook {
  readonly webhookId: number;
  readonly webhook: IncomingWebhook;
  readonly event: string;
  readonly now: number;
  /** Messages that the release of an audit records, instead of a webhook from Whapi. */
  readonly isRecovery: boolean;
}

/** Where new deliveries go. */
export interface NewDeliveries {
  /**
   * Adds a delivery that is due now, at the end of its lanes (I6), in slices of its lanes: it may have thousands. Returns it
   * if it is leased from its commit on (see `Outbox.offer`).
   * @param body what the target gets
   */
  add(delivery: NewDelivery, body: Buffer, recorded: RecordedWebhook): Sliced<Delivery | null>;
}

/** The settings under which a webhook is recorded. */
export interface RecordingRegistry {
  channel(name: string): Channel | undefined;
  targets(): Iterable<NumberedTarget>;
}
