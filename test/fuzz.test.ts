import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const FUZZ = fileURLToPath(new URL('../bench/fuzz.js', import.meta.url));
const REQUESTS = 4000;

it(`a running process survives ${REQUESTS} fuzzed requests without an answer 5xx or a hanging request`, async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { stdout } = await promisify(execFile)(process.execPath, [FUZZ, String(REQUESTS), String(seed)]).catch(
    (error: unknown) => error as { stdout: string },
  );
  const result = JSON.parse(stdout) as { statuses: Record<string, number>; alive: boolean; faults: unknown[] };
  expect({ seed, alive: result.alive, faults: result.faults }).toEqual({ seed, alive: true, faults: [] });
  expect(Object.keys(result.statuses).filter((status) => Number(status) >= 500)).toEqual([]);
  expect(result.statuses).toMatchObject({ 200: expect.any(Number) as number, 400: expect.any(Number) as number });
}, 120_000);
