import { AddressNotAllowed } from './guard.js';
import type { Guard } from './guard.js';

/** The base URL of Whapi's API, of a channel (`whapi_base_url`) or as the default for new ones (WHAPI_BASE_URL). */

/** A base URL that was saved before the rules for it, or under another TARGET_NETWORKS. */
export class BaseUrlRefused extends Error {
  constructor(why: string) {
    super(`The channel's whapi_base_url is refused. ${why}`);
    this.name = 'BaseUrlRefused';
  }
}

/** What to do about a base URL that is refused when the gateway connects. */
export const BASE_URL_FIX = "Change the channel's whapi_base_url, or the setting TARGET_NETWORKS.";

/** Why a URL cannot be a base URL, as far as it can be told without a DNS lookup; null if it can. */
export function whyBaseUrlRefused(text: string, guard: Pick<Guard, 'refusalOf'>): string | null {
  if (!URL.canParse(text)) return 'It is not a valid URL; expected one such as https://gate.whapi.cloud.';
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    return 'It has a user name or password, which would show in answers of the API. Remove them: Whapi expects a token.';
  }
  // Paths are appended to it.
  if (/[?#]/.test(text)) return 'It has a query or a fragment. Remove everything from "?" or "#" on.';
  return guard.refusalOf(url)?.message ?? null;
}

/** Whether a call to Whapi failed because its base URL, or an address that it resolves to, is refused. */
export function isBaseUrlRefused(error: unknown): boolean {
  return error instanceof BaseUrlRefused || error instanceof AddressNotAllowed;
}
