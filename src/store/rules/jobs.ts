import { GatewayError } from '../../errors.js';

/** A job may hold up to a tenth more than was counted before it was requested. */
const GROWTH_DIVISOR = 10;

/** Refuses a job that has outgrown its preview. @throws GatewayError GW_CONFLICT */
export function checkExpectedCount(count: number, expectedCount: number | undefined): void {
  if (expectedCount === undefined || (count - expectedCount) * GROWTH_DIVISOR <= expectedCount) return;
  throw new GatewayError(
    'GW_CONFLICT',
    `The filter now matches ${count}, more than a tenth above expected_count (${expectedCount}). Repeat the dry run ` +
      `with "dry_run": true, then send the new count, for example "expected_count": ${count}.`,
  );
}
