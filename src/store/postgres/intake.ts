import type { Document } from '../../intake/decode.js';
import type { IncomingWebhook } from '../../model.js';
import type { Base } from './base.js';
import { Batches } from './batches.js';
import type { Incoming, Recording } from './recording.js';
import type { Intake, Recorded } from '../intake.js';

/** Size of one transaction, in items: it holds its channels' locks for some ten milliseconds. */
const LARGEST_BATCH = 1024;
/** A body of this many bytes takes about as long as one more item. */
const BYTES_PER_ITEM = 8192;

/** Observes accepted webhooks. */
export interface IntakeObserver {
  /** A webhook was accepted. */
  accepted(channel: string, at: number): void;
}

/** Records webhooks in batches, and reports accepted ones to an observer. */
export class PostgresIntake implements Intake {
  readonly #base: Base;
  readonly #observer: IntakeObserver;
  readonly #batches: Batches<Incoming, Recorded>;

  constructor(base: Base, recording: Recording, observer: IntakeObserver) {
    this.#base = base;
    this.#observer = observer;
    this.#batches = new Batches(async (batch) => await recording.record(batch), { largest: LARGEST_BATCH, sizeOf });
  }

  async record(webhook: IncomingWebhook, document: Document): Promise<Recorded> {
    const recorded = await this.#batches.add({ webhook, document });
    this.#observer.accepted(webhook.channel, this.#base.now());
    return recorded;
  }

  /** Resolves when no webhook is being recorded. */
  async idle(): Promise<void> {
    await this.#batches.idle();
  }
}

function sizeOf({ document }: Incoming): number {
  return 1 + document.items.length + document.body.length / BYTES_PER_ITEM;
}
