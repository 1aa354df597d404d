import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { createDamageCheck } from '../src/damage.js';
import { DAMAGE_FIX } from '../src/errors.js';
import { retainForever } from '../src/store/sqlite/database.js';
import { until } from './support/intervals.js';
import { runToEnd, startProcess } from './support/process.js';
import type { GatewayProcess } from './support/process.js';
import { textWebhook } from './support/texts.js';
import type * as Damage from '../src/store/sqlite/damage.js';

/** The built module: it runs the script beside it. */
const BUILT_DAMAGE = new URL('../dist/store/sqlite/damage.js', import.meta.url).href;

const PAGE = 4096;
/** More than the start reads whole. */
const PAYLOADS = 24;
const PAYLOAD_BYTES = 1024 * 1024;

/** The folder of a stopped gateway whose file is too large to be read whole at the start. */
async function largeFolder(): Promise<{ folder: string; file: string }> {
  const gateway = await startProcess();
  await gateway.client.addChannel();
  await gateway.client.webhook(textWebhook('first'));
  await gateway.end('SIGTERM');
  const file = join(gateway.folder, 'gateway.db');
  const db = retainForever(new Database(file));
  db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${PAYLOADS})
    INSERT INTO webhooks (id, channel, received_at, method, suffix, event, body)
    SELECT max(id) + i, 'main', max(received_at), 'POST', '', 'messages.post', zeroblob(${PAYLOAD_BYTES}) FROM webhooks, n GROUP BY i`);
  db.close();
  return { folder: gateway.folder, file };
}

/** Overwrites the pages of `table` that hold rows (or their references), not those of other tables. */
function damage(file: string, table: string): void {
  const db = retainForever(new Database(file));
  const page = db.prepare<[string], number>('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck().get(table);
  db.close();
  const bytes = readFileSync(file);
  bytes.fill(7, ((page ?? 0) - 1) * PAGE, (page ?? 0) * PAGE);
  writeFileSync(file, bytes);
}

function logged(gateway: GatewayProcess, msg: string): Record<string, unknown>[] {
  const lines = gateway.log.map((line) => JSON.parse(line) as Record<string, unknown>);
  return lines.filter((line) => line['msg'] === msg);
}

const ERROR = 50;

describe('damage in a file that is too large to be read at the start', () => {
  it('is found after the start, logged as an error with the remedy, and shown by the doctor; webhooks go on', async () => {
    const { folder, file } = await largeFolder();
    damage(file, 'sightings_held');
    const gateway = await startProcess({}, folder);
    await until(() => {
      expect(logged(gateway, 'database damaged')).toMatchObject([
        { level: ERROR, damage: expect.stringContaining('sightings') as unknown, fix: DAMAGE_FIX },
      ]);
    });
    const { body } = await gateway.client.call('GET', '/v1/doctor');
    expect(body['checks']).toContainEqual(
      expect.objectContaining({ name: 'damage', status: 'fail', fix: DAMAGE_FIX }) as unknown,
    );
    expect((await gateway.client.call('GET', '/readyz')).status).toBe(200);
    expect((await gateway.client.webhook(textWebhook('second'))).status).toBe(200);
  });

  it('is told by the operation that meets it, and logged as an error', async () => {
    const { folder, file } = await largeFolder();
    damage(file, 'sightings_held');
    const gateway = await startProcess({}, folder);
    const { status, body } = await gateway.client.call('GET', '/v1/items?held=true');
    expect({ status, code: body['code'] }).toEqual({ status: 503, code: 'GW_STORE_UNAVAILABLE' });
    expect(body['detail']).toContain(`this operation met the damage. Nothing was changed. ${DAMAGE_FIX}`);
    await until(() => expect(logged(gateway, 'request failed')).toMatchObject([{ level: ERROR }]));
  });

  it('is refused at the start where a glance shows it: a missing end', async () => {
    const { folder, file } = await largeFolder();
    truncateSync(file, statSync(file).size - PAGE);
    expect(await refusal(folder)).toContain('is not a sound SQLite database');
  });

  it('is refused at the start where a glance shows it: a part of a page at the end', async () => {
    const { folder, file } = await largeFolder();
    writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(100)]));
    expect(await refusal(folder)).toContain('are not a multiple of its page size of 4096');
  });

  it('is refused at the start where a glance shows it: the root of a table', async () => {
    const { folder, file } = await largeFolder();
    damage(file, 'ledger_ids');
    expect(await refusal(folder)).toContain('is not a sound SQLite database');
  });
});

describe('a check for damage', () => {
  it('that finds nothing logs nothing, and reports nothing', async () => {
    const { check, lines } = checkOf(async () => await Promise.resolve(null));
    check.start();
    await check.stop();
    expect({ found: check.found(), lines }).toEqual({ found: null, lines: [] });
  });

  it('that could not be made is a warning', async () => {
    const { check, lines } = checkOf(async () => await Promise.reject(new Error('no memory')));
    check.start();
    await until(() => expect(lines).toEqual([['warn', 'database not checked for damage']]));
    expect(check.found()).toBeNull();
  });

  it('ends with the gateway', async () => {
    const { check, lines } = checkOf(
      async (signal) =>
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        }),
    );
    check.start();
    await check.stop();
    expect(lines).toEqual([]);
  });

  it('reads a sound file to its end and finds nothing', async () => {
    const { folder, file } = await largeFolder();
    const { findDamage } = (await import(BUILT_DAMAGE)) as typeof Damage;
    expect(await findDamage(file, new AbortController().signal)).toBeNull();
    await expect(findDamage(join(folder, 'none.db'), new AbortController().signal)).rejects.toThrow(/check for damage/);
  });
});

/** Starts a gateway on a damaged file, which it must refuse and leave unchanged. */
async function refusal(folder: string): Promise<string> {
  const file = join(folder, 'gateway.db');
  const before = readFileSync(file);
  const { code, stderr } = await runToEnd(folder);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^GW_STORE_UNUSABLE: [^\n]+\n$/) as unknown,
  });
  expect(readFileSync(file).equals(before)).toBe(true);
  return stderr;
}

function checkOf(findDamage: (signal: AbortSignal) => Promise<string | null>) {
  const lines: [string, string][] = [];
  const line = (level: string) => (_fields: unknown, msg?: string) => void lines.push([level, msg ?? '']);
  const log = { error: line('error'), warn: line('warn'), info: line('info') };
  return { check: createDamageCheck({ store: { upkeep: { findDamage } }, log }), lines };
}
