import type { Document } from '../intake/decode.js';
import type { Memory } from '../intake/judge.js';
import type { Judgement } from '../model.js';

/** Reads recorded traffic again, as it came, for a preview of other settings. */
export interface History {
  /** Webhooks recorded at or after `since`, until now. Nothing is written, and no more than a page is in memory. */
  read(request: HistoryRequest): Promise<HistoryReading>;
}

export interface HistoryRequest {
  readonly since: number;
  /** If more webhooks than this were recorded since, only the newest are read. */
  readonly most: number;
  /** Left out: every channel. */
  readonly channel?: string | undefined;
}

export interface HistoryReading {
  /** When the first webhook that it reads was recorded, or later: `since`, unless there are more than `most`. */
  readonly since: number;
  readonly isComplete: boolean;
  /** Some more webhooks, oldest first; null: there are no more. */
  next(): Promise<readonly PastWebhook[] | null>;
}

export interface PastWebhook {
  readonly id: string;
  readonly channel: string;
  readonly receivedAt: number;
  readonly document: Document;
  /** One per item of the document. */
  readonly items: readonly PastItem[];
  /** What targets were sent of it, without releases. */
  readonly deliveries: readonly PastDelivery[];
}

export interface PastItem extends Judgement {
  readonly id: string;
  /** What was known of it: judged with that, it gets the same verdict again. */
  readonly memory: Memory;
  /** Restored, and bots receive it as well: see intake/route.ts. */
  readonly recover: boolean;
}

export interface PastDelivery {
  readonly targetId: string;
  /** Indexes of its items; null: all of them. */
  readonly positions: readonly number[] | null;
  /** When it ended; null: it is pending. */
  readonly settledAt: number | null;
}
