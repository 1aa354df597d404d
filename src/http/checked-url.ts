import { GatewayError } from '../errors.js';

/**
 * A URL of a request's body without slashes at its end. `field`: its name in the body.
 * @throws GatewayError GW_BAD_REQUEST (it is not a URL)
 */
export function checkedUrl(url: string, field: string): string {
  if (!URL.canParse(url)) {
    throw new GatewayError('GW_BAD_REQUEST', `${field} is not a URL.`, [
      { path: `/${field}`, message: 'must be a URL' },
    ]);
  }
  return url.replace(/\/+$/, '');
}
