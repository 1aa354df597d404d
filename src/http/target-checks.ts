import { GatewayError } from '../errors.js';
import { isSigningSecret } from '../signing-secret.js';
import { pointerPart } from './problem.js';
import { MASK } from './target-json.js';

/** Headers that the gateway or HTTP itself sets. */
const RESERVED_HEADER =
  /^(webhook-.*|x-gateway-.*|content-type|content-length|host|connection|transfer-encoding|expect|upgrade|keep-alive|te|trailer)$/i;
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
  if (refusal !== null) throw invalidField('/url', refusal);
  if (body.secret !== undefined && !isSigningSecret(body.secret)) {
    throw invalidField('/secret', 'must be whsec_ and 24 to 64 bytes in base64');
  }
  for (const [name, value] of Object.entries(body.headers ?? {})) {
    const path = `/headers/${pointerPart(name)}`;
    if (!HEADER_NAME.test(name) || RESERVED_HEADER.test(name)) {
      throw invalidField(path, 'is not a header that a target may set');
    }
    if (value === MASK) throw invalidField(path, 'is the mask of a secret: send the value itself');
  }
}

/** The error for one field of a body; `path` is a JSON pointer to it. */
export function invalidField(path: string, message: string): GatewayError {
  return new GatewayError('GW_BAD_REQUEST', `Invalid request body: ${path} ${message}`, [{ path, message }]);
}
