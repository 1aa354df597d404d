import type pg from 'pg';
import { StartError } from '../../errors.js';

/** SQL_ASCII keeps bytes as they are. All others refuse characters that they do not have, for example in an answer of a bot. */
const ENCODINGS = ['UTF8', 'SQL_ASCII'];

/** @throws StartError GW_STORE_UNUSABLE */
export async function requireUnicode(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ encoding: string }>("SELECT current_setting('server_encoding') AS encoding");
  const encoding = rows[0]?.encoding ?? '';
  if (ENCODINGS.includes(encoding)) return;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    `The database has the encoding ${encoding}, which cannot hold every character of a message. Create another one, for example: ` +
      'createdb --encoding=UTF8 --template=template0 gateway',
  );
}
