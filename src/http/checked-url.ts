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
