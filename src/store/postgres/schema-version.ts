import type pg from 'pg';
import { GatewayError, StartError } from '../../errors.js';
import { migrationsOf } from '../migrate.js';
import type { Queries } from './queries.js';

export interface Schema {
  readonly version: number;
  /** The oldest version whose programs may use it. */
  readonly leastProgram: number;
}

const SCHEMA = 'SELECT version, least_program FROM gateway.schema';

interface SchemaRow {
  readonly version: number;
  readonly least_program: number;
}

/** Version 0: there is no schema yet. */
export async function schemaOf(client: pg.ClientBase): Promise<Schema> {
  const found = await client.query<{ found: boolean }>("SELECT to_regclass('gateway.schema') IS NOT NULL AS found");
  if (found.rows[0]?.found !== true) return { version: 0, leastProgram: 0 };
  return schemaIn((await client.query<SchemaRow>(SCHEMA)).rows[0]);
}

/** Refuses the start if the schema excludes this program. @throws StartError GW_STORE_UNUSABLE */
export function refuseTooNew(schema: Schema): void {
  const words = whyTooNew(schema);
  if (words !== null) throw new StartError('GW_STORE_UNUSABLE', words);
}

/**
 * For a replica that started before a newer program migrated the schema.
 * @throws GatewayError GW_STORE_UNAVAILABLE: this program may not use it any more
 */
export async function requireUsableSchema(queries: Queries): Promise<void> {
  const words = whyTooNew(schemaIn(await queries.one<SchemaRow>(SCHEMA)));
  if (words !== null) throw new GatewayError('GW_STORE_UNAVAILABLE', words);
}

function schemaIn(row: SchemaRow | undefined): Schema {
  return { version: row?.version ?? 0, leastProgram: row?.least_program ?? 0 };
}

/** Why the schema excludes this program, in words; null: it may use it. */
function whyTooNew({ version, leastProgram }: Schema): string | null {
  const newest = migrationsOf('postgres').at(-1)?.version ?? 0;
  if (newest >= leastProgram) return null;
  return (
    `The database has schema version ${version}, which needs a program that knows version ${leastProgram}; this one knows ` +
    `versions up to ${newest}. A newer version of the gateway has migrated it: start that version, or restore a backup from before the upgrade.`
  );
}
