import { GatewayError } from '../../errors.js';
import type { Span, Verdict, WebhookHttpMethod } from '../../model.js';
import type { ItemDetail, WebhookSummary, WebhookView } from '../items.js';
import { encodeNumber } from './ids.js';

/** A stored webhook without its body. */
export interface WebhookFactsRow {
  readonly id: number;
  readonly channel: string;
  readonly method: WebhookHttpMethod;
  readonly suffix: string;
  readonly content_type: string | null;
  readonly event: string;
  readonly received_at: number;
  readonly audit: string | null;
}

/** How many items of a webhook have a verdict, and how many of them are held. */
export interface VerdictCount {
  readonly verdict: Verdict;
  readonly count: number;
  readonly held: number;
}

/** What lists and details of stored webhooks have in common. */
export function webhookFacts(row: WebhookFactsRow): WebhookView {
  return {
    id: encodeNumber(row.id),
    channel: row.channel,
    method: row.method,
    suffix: row.suffix,
    contentType: row.content_type,
    event: row.event,
    receivedAt: row.received_at,
    auditId: row.audit,
  };
}

/** A webhook for a list. @param verdicts the counts of its items */
export function webhookSummary(
  row: WebhookFactsRow & { readonly bytes: number },
  verdicts: readonly VerdictCount[],
): WebhookSummary {
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
  return {
    ...webhookFacts(row),
    bytes: row.bytes,
    items: sum(verdicts.map(({ count }) => count)),
    held: sum(verdicts.map(({ held }) => held)),
    verdicts: Object.fromEntries(verdicts.map(({ verdict, count }) => [verdict, count])),
  };
}

/** The items of a webhook with their places in its body. @param decoded null: this version splits the body differently */
export function withSpans(
  items: readonly ItemDetail[],
  decoded: readonly { readonly span: Span }[],
): (ItemDetail & { readonly span: Span | null })[] {
  const isSameSplit = decoded.length === items.length;
  return items.map((item) => ({ ...item, span: (isSameSplit ? decoded[item.position]?.span : undefined) ?? null }));
}

/**
 * The error for a webhook that is not stored: GW_PAYLOAD_GONE when it is older than every stored one, else GW_NOT_FOUND.
 * @param ids `least`: no gateway has given out a lower one; `oldest`: of those that are stored
 */
export function noSuchWebhook(id: number, ids: { readonly least: number; readonly oldest: number }, subject: string) {
  if (id >= ids.least && id < ids.oldest) {
    return new GatewayError(
      'GW_PAYLOAD_GONE',
      `The payload of ${subject} was pruned. RETENTION_DAYS sets how long payloads are kept.`,
    );
  }
  return new GatewayError('GW_NOT_FOUND', `There is no ${subject}. It may have been pruned.`);
}

/** When the first gateway ran, or earlier. */
export const BEFORE_ALL_GATEWAYS = Date.UTC(2020, 0);
