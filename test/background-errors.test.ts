import { expect, it } from 'vitest';
import { createErrorReporter } from '../src/background-errors.js';
import { GatewayError } from '../src/errors.js';
import { manualClock, MINUTE } from './support/store.js';

function reporter() {
  const [lines, clock]: [object[], ReturnType<typeof manualClock>] = [[], manualClock()];
  const report = createErrorReporter({ error: (fields: object) => void lines.push(fields) }, { now: clock.now });
  return { lines, clock, report };
}

it('a database that is away makes one line a minute, with how often it was met', () => {
  const { lines, clock, report } = reporter();
  const away = () => report(new GatewayError('GW_STORE_UNAVAILABLE', 'PostgreSQL cannot be reached.'));
  [1, 2, 3].forEach(away);
  report(new GatewayError('GW_STORE_UNAVAILABLE', 'The disk is full.'));
  clock.advance(MINUTE);
  away();
  expect(lines.map((line) => (line as { times: number }).times)).toEqual([1, 1, 3]);
});

it('a fault of the gateway is logged each time, with its stack', () => {
  const { lines, report } = reporter();
  const err = new Error('a bug');
  report(err);
  report(err);
  expect(lines).toEqual([{ err }, { err }]);
});
