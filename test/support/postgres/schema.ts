import type pg from 'pg';

/** A table's columns and constraints. Partitions are left out: they are those of some days. */
const TABLES = `SELECT c.relname AS name,
    format(E'CREATE TABLE gateway.%I (\\n  %s\\n)%s%s', c.relname,
      (SELECT string_agg(line, E',\\n  ' ORDER BY place, line) FROM (
        SELECT a.attnum AS place, format('%I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
          CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
          CASE WHEN d.oid IS NULL THEN '' ELSE ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END,
          CASE WHEN a.attidentity = 'a' THEN ' GENERATED ALWAYS AS IDENTITY' ELSE '' END) AS line
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT 10000, format('CONSTRAINT %I %s', o.conname, pg_get_constraintdef(o.oid)) FROM pg_constraint o
        WHERE o.conrelid = c.oid AND o.contype IN ('p', 'u', 'c')
      ) lines),
      CASE WHEN c.relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) ELSE '' END,
      CASE WHEN c.reloptions IS NULL THEN '' ELSE format(' WITH (%s)', array_to_string(c.reloptions, ', ')) END) AS sql
  FROM pg_class c WHERE c.relnamespace = 'gateway'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition`;
/** Without those of constraints, which the tables have. */
const INDEXES = `SELECT t.relname AS name, pg_get_indexdef(i.indexrelid) AS sql
  FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
  WHERE t.relnamespace = 'gateway'::regnamespace AND NOT t.relispartition
    AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid)`;
const STORAGE = `SELECT c.relname AS name, format('ALTER TABLE gateway.%I ALTER COLUMN %I SET STORAGE EXTERNAL', c.relname, a.attname) AS sql
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type y ON y.oid = a.atttypid
  WHERE c.relnamespace = 'gateway'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
    AND a.attstorage = 'e' AND a.attstorage <> y.typstorage`;
const VIEWS = `SELECT relname AS name, format(E'CREATE VIEW gateway.%I AS\\n%s', relname, rtrim(pg_get_viewdef(oid), ';')) AS sql
  FROM pg_class WHERE relnamespace = 'gateway'::regnamespace AND relkind = 'v'`;
const SEQUENCES = `SELECT c.relname AS name, format('CREATE SEQUENCE gateway.%I', c.relname) AS sql
  FROM pg_class c WHERE c.relnamespace = 'gateway'::regnamespace AND c.relkind = 'S'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')`;
const FUNCTIONS = `SELECT proname AS name, rtrim(pg_get_functiondef(oid), E'\\n') AS sql
  FROM pg_proc WHERE pronamespace = 'gateway'::regnamespace`;

/** The schema of a database, in an order that depends on its names alone. */
export async function schemaOf(client: pg.Client): Promise<string> {
  const kinds = [SEQUENCES, TABLES, STORAGE, INDEXES, VIEWS, FUNCTIONS].map(
    (kind, rank) => `SELECT ${rank} AS rank, name, sql FROM (${kind}) k${rank}`,
  );
  const byTable = 'CASE WHEN rank BETWEEN 1 AND 3 THEN 1 ELSE rank END';
  const { rows } = await client.query<{ sql: string }>(
    `SELECT sql FROM (${kinds.join(' UNION ALL ')}) s ORDER BY ${byTable}, name COLLATE "C", rank, sql COLLATE "C"`,
  );
  // PostgreSQL 15 prints this name without quotes.
  return `${rows.map(({ sql }) => sql.replaceAll(/^( +)json /gm, '$1"json" ')).join(';\n\n')};\n`;
}
