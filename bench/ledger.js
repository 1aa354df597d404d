import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bytesInUse, rememberIds } from './ledger-file.js';
import { load } from './load.js';
import { forgetPages } from './page-cache.js';
import { acceptPhase } from './phases.js';
import { alternating, figureOf, ratioOf } from './rounds.js';
import { startGateway } from './servers.js';

/**
 * Accepting new messages with ten million ids in the ledger, compared with none: with the file's pages in the page cache
 * (`warm`), and with none of them there (`cold`). Each measurement has a fresh copy of the file and a process of its own.
 * `node bench/ledger.js --file <file>` keeps the file with the ids for the next run, `--ids <number>` makes another number.
 */
const ROUNDS = 5;
const SECONDS = 4;
const WARM_UP_SECONDS = 2;
const ENCRYPTION_KEY = Buffer.alloc(32, 7).toString('base64'); // the same in each run, so that a kept file can be opened
const { values } = parseArgs({ options: { file: { type: 'string' }, ids: { type: 'string', default: '10000000' } } });
const IDS = Number(values.ids);

const gateway = await startGateway({ ENCRYPTION_KEY });
await gateway.halt();
const file = join(gateway.folder, 'gateway.db');
const empty = join(gateway.folder, 'empty.db');
const full = values.file ?? join(gateway.folder, 'full.db');
copyFileSync(file, empty);
const buildSeconds = existsSync(full) ? null : await build();
const bytesPerId = (bytesInUse(full) - bytesInUse(empty)) / IDS;

const sides = { none: empty, warm: full, cold: full };
const rounds = await alternating(Object.keys(sides), ROUNDS, measure);
await gateway.stop();

const ofSides = (part) => Object.fromEntries(Object.keys(sides).map((side) => [side, figureOf(rounds, side, part)]));
console.log(
  JSON.stringify({
    bench: `accepting webhooks with ${IDS} ids in the ledger`,
    baseline: 'the same with none, in a fresh file',
    ratio_warm: ratioOf(rounds, 'rate', 'warm', 'none'),
    ratio_cold: ratioOf(rounds, 'rate', 'cold', 'none'),
    per_second: ofSides('rate'),
    cpu_ratio_warm: ratioOf(rounds, 'cpuUs', 'warm', 'none'),
    cpu_us_per_webhook: ofSides('cpuUs'),
    bytes_written_per_webhook: ofSides('writtenBytes'),
    bytes_on_disk_per_id: Number(bytesPerId.toFixed(1)),
    build_seconds: buildSeconds,
    rounds: ROUNDS,
    seconds_per_round: SECONDS,
  }),
);

async function build() {
  const startedAt = performance.now();
  await rememberIds(file, IDS);
  bytesInUse(file); // moves what is in the write-ahead log into it
  copyFileSync(file, full);
  return Math.round((performance.now() - startedAt) / 1000);
}

async function measure(side) {
  for (const ending of ['-wal', '-shm']) rmSync(file + ending, { force: true });
  copyByPages(sides[side], file);
  await gateway.restart();
  await load(gateway.url, { seconds: WARM_UP_SECONDS });
  while (hasChild(gateway.pid)) await new Promise((next) => setTimeout(next, 50)); // the damage check reads the whole file
  if (side === 'cold') forgetPages(file);
  const figures = await acceptPhase(gateway, SECONDS);
  await gateway.halt();
  return figures;
}

/**
 * Copies in writes of one page, and syncs. After larger writes, Linux keeps larger units in its page cache and counts a change
 * of one page as a write of its whole unit. Without a sync, the copy would be written to disk during the measurement.
 */
function copyByPages(from, to) {
  execFileSync('dd', [`if=${from}`, `of=${to}`, 'bs=4096', 'conv=fdatasync'], { stdio: 'ignore' });
}

function hasChild(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim() !== '';
}
