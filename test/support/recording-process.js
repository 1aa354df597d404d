import { systemEffects } from '../../dist/effects.js';
import { decode } from '../../dist/intake/decode.js';
import { openSqliteStore } from '../../dist/store/sqlite/engine.js';

/**
 * Records new messages until it is killed, in runs of a few hundred ids, and prints what was answered.
 * Arguments: the database, the number of the first message, ids per run.
 */
const [, , file, first, idsPerRun] = process.argv;
const AT_ONCE = 20;
const store = openSqliteStore(file, systemEffects, { idsPerRun: Number(idsPerRun) });
const hint = { method: 'POST', suffix: '' };

for (let next = Number(first); ; next += AT_ONCE) {
  const ids = Array.from({ length: AT_ONCE }, (_, at) => next + at);
  await Promise.all(ids.map(recordOne));
  process.stdout.write(`${next + AT_ONCE}\n`);
}

async function recordOne(id) {
  const message = { id: `M${id}`, type: 'text', chat_id: `chat ${id % 50}`, timestamp: 1, text: { body: 'Hello' } };
  const body = Buffer.from(JSON.stringify({ messages: [message], event: { type: 'messages', event: 'post' } }));
  await store.intake.record({ channel: 'main', ...hint, contentType: 'application/json', body }, decode(body, hint));
}
