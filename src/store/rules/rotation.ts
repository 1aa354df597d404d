import { GatewayError } from '../../errors.js';
import type { ExpiringSecret, Sealed, Target } from '../../model.js';
import type { Predecessor } from '../registry.js';

type Secrets = Pick<Target, 'secret' | 'previousSecrets'>;

/** Each previous secret adds a signature to every request. */
const MAX_PREVIOUS_SECRETS = 4;

/**
 * The secrets of a target after a rotation at `now`. The replaced secret signs until the `expiresAt` of `previous`, earlier
 * ones until their own end; `previous` null: only the new secret signs from now on.
 * @throws GatewayError GW_CONFLICT (too many still sign, and dropping one would break bots that verify with it)
 */
export function rotated(before: Secrets, secret: Sealed, previous: Predecessor | null, now: number): Secrets {
  if (previous === null) return { secret, previousSecrets: [] };
  const replaced = { secret: previous.seal(before.secret), expiresAt: previous.expiresAt };
  const previousSecrets = [replaced, ...unexpired(before.previousSecrets, now)];
  if (previousSecrets.length > MAX_PREVIOUS_SECRETS) {
    throw new GatewayError(
      'GW_CONFLICT',
      `${MAX_PREVIOUS_SECRETS} earlier secrets still sign. Wait until one of them expires, or end them all with "grace_seconds": 0.`,
    );
  }
  return { secret, previousSecrets };
}

/** The secrets that still sign at `now`. */
export function unexpired(secrets: readonly ExpiringSecret[], now: number): readonly ExpiringSecret[] {
  return secrets.filter(({ expiresAt }) => expiresAt > now);
}
