import { GatewayError } from '../../errors.js';
import type { ExpiringSecret, Sealed, Target } from '../../model.js';

type Secrets = Pick<Target, 'secret' | 'previousSecrets'>;

/** Each costs one more signature of every request. */
export const MOST_PREVIOUS_SECRETS = 4;

/**
 * The secrets of a target after a rotation at `now`. The one that is replaced signs until `expiresAt`, those before it as
 * long as they were given; `expiresAt` null: from now on only the new one signs.
 * @throws GatewayError GW_CONFLICT (too many still sign: to drop one would break the bots that verify with it)
 */
export function rotated(before: Secrets, secret: Sealed, expiresAt: number | null, now: number): Secrets {
  if (expiresAt === null) return { secret, previousSecrets: [] };
  const previousSecrets = [{ secret: before.secret, expiresAt }, ...unexpired(before.previousSecrets, now)];
  if (previousSecrets.length > MOST_PREVIOUS_SECRETS) {
    throw new GatewayError(
      'GW_CONFLICT',
      `${MOST_PREVIOUS_SECRETS} earlier secrets still sign. Wait until one of them expires, or end them all with "grace_seconds": 0.`,
    );
  }
  return { secret, previousSecrets };
}

export function unexpired(secrets: readonly ExpiringSecret[], now: number): readonly ExpiringSecret[] {
  return secrets.filter(({ expiresAt }) => expiresAt > now);
}
