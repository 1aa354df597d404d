import { join } from 'node:path';
import type { Effects } from '../effects.js';
import { createTemporaryDatabase } from '../store/open.js';
import { startDemoServer } from './postgres.js';

/** Where the demo keeps its data: in a file, in a PostgreSQL server of its own, or in a database of a server given by URL. */
export type DemoEngine = 'sqlite' | 'postgres' | { readonly server: string };

/** An empty database that exists as long as the demo. */
export interface DemoDatabase {
  /** Variables for the configuration of the gateway. */
  readonly settings: Readonly<Record<string, string>>;
  /** In words. */
  readonly name: string;
  close(): Promise<void>;
}

const ENCRYPTION_KEY_BYTES = 32;

/** @throws Error that says what to do */
export async function openDatabase(
  engine: DemoEngine,
  folder: string,
  effects: Effects,
  signal: AbortSignal,
): Promise<DemoDatabase> {
  if (engine === 'sqlite') {
    const settings = { DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}` };
    return { settings, name: 'a temporary SQLite database', close: async () => await Promise.resolve() };
  }
  const keys = {
    ADMIN_TOKEN: effects.randomBytes(24).toString('hex'),
    ENCRYPTION_KEY: effects.randomBytes(ENCRYPTION_KEY_BYTES).toString('base64'),
  };
  const name = 'a temporary PostgreSQL database';
  if (engine === 'postgres') {
    const { url, stop } = await startDemoServer(folder, effects, signal);
    return { settings: { ...keys, DATABASE_URL: url }, name, close: stop };
  }
  const { url, drop } = await createTemporaryDatabase(
    engine.server,
    `gateway_demo_${effects.randomBytes(6).toString('hex')}`,
  );
  return { settings: { ...keys, DATABASE_URL: url }, name, close: drop };
}
