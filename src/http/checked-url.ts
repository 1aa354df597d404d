import { shown } from './schema-words.js';
import { invalidField } from './validation-errors.js';

/**
 * A URL of a request's body without slashes at its end. `field`: its name in the body.
 * @throws GatewayError GW_BAD_REQUEST (it is not a URL)
 */
export function checkedUrl(url: string, field: string): string {
  if (!URL.canParse(url)) {
    throw invalidField(
      `/${field}`,
      `"${field}" is ${shown(url)}; expected a URL, for example https://gateway.example.com`,
    );
  }
  return url.replace(/\/+$/, '');
}
