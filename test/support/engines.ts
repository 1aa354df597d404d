import type { Databases } from './postgres/fixture.js';
import { useDatabases } from './postgres/fixture.js';

/** An engine that a gateway in a process of its own can use. */
export interface GatewayEngine {
  readonly engine: string;
  /** What the environment of a gateway needs for an empty store. Without variables it gets a SQLite file. */
  environment(): Promise<Record<string, string>>;
}

/** With PostgreSQL, the environment must set both. */
export const KEYS = {
  ADMIN_TOKEN: 'admin-token-of-the-tests',
  ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
};

/** Both engines, with a PostgreSQL server for the tests of this file. */
export function useEngines(
  databases: Databases = useDatabases({}),
): readonly [sqlite: GatewayEngine, postgres: GatewayEngine] {
  return [
    { engine: 'SQLite', environment: async () => await Promise.resolve({}) },
    { engine: 'PostgreSQL', environment: async () => ({ ...KEYS, DATABASE_URL: await databases.create() }) },
  ];
}
