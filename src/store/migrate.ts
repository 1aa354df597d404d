import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { StartError } from '../errors.js';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** The numbered forward migrations of an engine in ascending order: `migrations/<engine>/0001_….sql`. */
export function migrationsOf(engine: 'sqlite' | 'postgres'): Migration[] {
  const folder = fileURLToPath(new URL(`../../migrations/${engine}/`, import.meta.url));
  return readdirSync(folder)
    .filter((name) => /^\d{4}_\w+\.sql$/.test(name))
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 4)), name, sql: readFileSync(folder + name, 'utf8') }));
}

/** The migrations that a database at `version` still needs. @throws StartError GW_STORE_UNUSABLE (newer than this program) */
export function pendingMigrations(all: readonly Migration[], version: number): Migration[] {
  const newest = all.at(-1)?.version ?? 0;
  if (version > newest) {
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `The database has schema version ${version}, but this program supports only versions up to ${newest}. ` +
        'A newer version of the gateway has migrated it: start that version, or restore a backup from before the upgrade.',
    );
  }
  return all.filter((migration) => migration.version > version);
}
