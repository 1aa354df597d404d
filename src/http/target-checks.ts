import { isSigningSecret } from '../signing-secret.js';
import { pointerPart, shown } from './schema-words.js';
import { MASK } from '../quoted.js';
import { invalidField } from './validation-errors.js';

/** Headers that the gateway or HTTP itself sets. */
const RESERVED_HEADER =
  /^(webhook-.*|x-gateway-.*|content-type|content-length|host|connection|transfer-encoding|expect|upgrade|keep-alive|te|trailer)$/i;
const SIGNING_SECRET = '"whsec_" and 24 to 64 bytes in base64 (make one with: echo "whsec_$(openssl rand -base64 32)")';
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;

/** What of a request's body only code can check. */
interface TargetFields {
  readonly url?: string;
  readonly secret?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** @throws GatewayError GW_BAD_REQUEST. `whyRefused`: why a URL cannot be a target's; null where it can */
export function checkTarget(body: TargetFields, whyRefused: (url: string) => string | null): void {
  const refusal = body.url === undefined ? null : whyRefused(body.url);
  if (refusal !== null) throw invalidField('/url', `"url" is ${shown(body.url)}. ${refusal}`);
  if (body.secret !== undefined && !isSigningSecret(body.secret)) {
    throw invalidField('/secret', `"secret" is not valid; expected ${SIGNING_SECRET}`);
  }
  for (const [name, value] of Object.entries(body.headers ?? {})) checkHeader(name, value);
}

function checkHeader(name: string, value: string): void {
  const path = `/headers/${pointerPart(name)}`;
  if (!HEADER_NAME.test(name)) {
    throw invalidField(
      path,
      `${shown(name)} is not a header name; expected letters, digits and "-", for example X-Tenant`,
    );
  }
  if (RESERVED_HEADER.test(name)) {
    throw invalidField(path, `header "${name}" is set by the gateway or by HTTP itself; remove it`);
  }
  if (value === MASK) {
    throw invalidField(path, `header "${name}" is "${MASK}", the mask of a secret; send the value itself`);
  }
}
