import { whyBaseUrlRefused } from '../base-url.js';
import type { Guard } from '../guard.js';
import { shown } from './schema-words.js';
import { invalidField } from './validation-errors.js';

/** A URL field of a request's body, by its name. */
export interface UrlField {
  readonly name: string;
  readonly example: string;
}

/**
 * A URL of a request's body, without slashes at its end.
 * @throws GatewayError GW_BAD_REQUEST (it is not a URL)
 */
export function checkedUrl(url: string, { name, example }: UrlField): string {
  if (!URL.canParse(url)) {
    throw invalidField(`/${name}`, `"${name}" is ${shown(url)}; expected a URL, for example ${example}`);
  }
  return url.replace(/\/+$/, '');
}

const WHAPI_BASE_URL = { name: 'whapi_base_url', example: 'https://gate.whapi.cloud' };

/** `whapi_base_url` of a request's body. @throws GatewayError GW_BAD_REQUEST */
export function checkedBaseUrl(text: string, guard: Pick<Guard, 'refusalOf'>): string {
  const url = checkedUrl(text, WHAPI_BASE_URL);
  const refusal = whyBaseUrlRefused(url, guard);
  if (refusal !== null) throw invalidField('/whapi_base_url', `"whapi_base_url" is ${shown(url)}. ${refusal}`);
  return url;
}
