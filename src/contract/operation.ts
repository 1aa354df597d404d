import type { TSchema } from 'typebox';
import type { GatewayErrorCode } from '../errors.js';

/** What the operations are grouped by in the document. */
export const TAGS = {
  channels: 'WhatsApp numbers: one channel at Whapi each.',
  targets: "Bots' endpoints, and what each wants to receive.",
  resyncs: 'Bring lost messages back without a bot answering them again.',
  audits: 'Find messages that no webhook delivered, and release them.',
  items: 'Elements of webhooks with their verdicts; held items and their release.',
  messages: 'Everything that happened to one message.',
  claims: 'One bot for each message, among those of a channel.',
  deliveries: 'Requests to targets: their attempts, results and retries.',
  jobs: 'Bulk work in the background.',
  webhooks: 'Where Whapi sends its webhooks.',
  whapi: "Whapi's API, passed through.",
  live: 'What happens at the moment, and how much of it.',
  session: "The dashboard's login.",
  operation: 'Health, readiness and diagnosis.',
} as const;

export type Tag = keyof typeof TAGS;

/** One operation of the API: the server's schema of its route, and its text in the document. */
export interface Operation {
  /** Verb and noun in camelCase. Generated clients name their methods by it, so it must not change. */
  readonly operationId: string;
  readonly tags: readonly [Tag];
  readonly summary: string;
  readonly description: string;
  readonly params?: TSchema;
  readonly querystring?: TSchema;
  readonly headers?: TSchema;
  readonly body?: TSchema;
  /** The type of the answer, unless it is JSON. */
  readonly produces?: readonly string[];
  readonly response: Readonly<Record<number, TSchema>>;
  /** `[]`: no authentication. Left out: the admin token. */
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  /** Error codes that it can give besides those that every operation can. */
  readonly 'x-errors'?: readonly GatewayErrorCode[];
}

/** Checks an operation, and keeps the exact types of its schemas for the route that uses it. */
export const operation = <const T extends Operation>(described: T): T => described;
