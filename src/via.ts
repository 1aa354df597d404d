/**
 * `x-gateway-via` lists the gateways that a webhook has passed through, so that none of them accepts it twice. It is a
 * comma-separated list of `<gateway>;<delivery>`, newest last: the id that a gateway keeps in its store, and the
 * `webhook-id` under which it forwarded the webhook.
 */
export const VIA_HEADER = 'x-gateway-via';

/** The oldest entries of a longer list are dropped, so a loop through more gateways is not detected. */
const MOST_ENTRIES = 16;
/** Entries of any other form come from elsewhere and are not passed on. */
const ENTRY = /^[\w-]{1,64};[\w-]{1,64}$/;

/** Reads the list of a webhook; null if it has none. */
export function viaFrom(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  const entries = [header].flat().flatMap((text) => text.split(',').map((entry) => entry.trim()));
  const kept = entries.filter((entry) => ENTRY.test(entry)).slice(-MOST_ENTRIES);
  return kept.length > 0 ? kept.join(', ') : null;
}

/** The list to send with a delivery. */
export function viaAfter(via: string | null, gatewayId: string, deliveryId: string): string {
  const own = `${gatewayId};${deliveryId}`;
  return via === null ? own : [...via.split(', '), own].slice(-MOST_ENTRIES).join(', ');
}

/** Whether a webhook has passed through this gateway before. */
export function hasComeThrough(via: string | null, gatewayId: string): boolean {
  return via?.split(', ').some((entry) => entry.startsWith(`${gatewayId};`)) ?? false;
}
