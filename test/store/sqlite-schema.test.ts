import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/store/sqlite/database.js';
import { temporaryFolder } from '../support/files.js';

/** For readers who want the schema without its history. `npm test -- -u` updates it. */
const SCHEMA = fileURLToPath(new URL('../../migrations/sqlite/schema.sql', import.meta.url));

it('migrations/sqlite/schema.sql equals the result of all migrations', async () => {
  const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
  onTestFinished(close);
  const parts = db.prepare<[], string>(
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY tbl_name, type DESC, name",
  );
  const schema = parts.pluck().all();
  await expect(`${schema.join(';\n\n')};\n`).toMatchFileSnapshot(SCHEMA);
});
