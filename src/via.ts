/**
 * `x-gateway-via`: the gateways that a webhook has come through, so that none of them takes it a second time. A comma list,
 * the newest last, of `<gateway>;<delivery>`: the id that a gateway keeps in its store, and the `webhook-id` under which it
 * sent the webhook on.
 */
export const VIA_HEADER = 'x-gateway-via';

/** Where the list is longer its oldest entries are left out: a loop through more gateways is not detected. */
const MOST_ENTRIES = 16;
/** Entries of any other form are not ours, and are not passed on. */
const ENTRY = /^[\w-]{1,64};[\w-]{1,64}$/;

/** The list that came with a webhook, as it is kept; null where there is none. */
export function viaFrom(header: string | string[] | undefined): string | null {
  const entries = [header ?? []].flat().flatMap((text) => text.split(',').map((entry) => entry.trim()));
  const kept = entries.filter((entry) => ENTRY.test(entry)).slice(-MOST_ENTRIES);
  return kept.length > 0 ? kept.join(', ') : null;
}

/** The list that goes on with a delivery. */
export function viaAfter(via: string | null, gatewayId: string, deliveryId: string): string {
  return [...(via ?? '').split(', '), `${gatewayId};${deliveryId}`].filter(Boolean).slice(-MOST_ENTRIES).join(', ');
}

/** Whether a webhook has come through this gateway before. */
export function hasComeThrough(via: string | null, gatewayId: string): boolean {
  return (via ?? '').split(', ').some((entry) => entry.startsWith(`${gatewayId};`));
}
