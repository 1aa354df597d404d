import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

/**
 * Runs all benches in order, each printing one JSON line. `npm run bench -- accept` runs one, and
 * `npm run bench -- against <commit>` compares this tree with an earlier commit.
 */
const BENCHES = [
  'accept',
  'large-webhook',
  'end-to-end',
  'latency',
  'backlog',
  'ledger',
  'bulk',
  'proxy',
  'sign',
  'decode',
  'resync-list',
  'metrics',
  'dashboard',
  'start',
  'accuracy',
  'replay',
  'postgres',
];
const wanted = process.argv.slice(2);
const unknown = wanted[0] === 'against' ? [] : wanted.filter((name) => !BENCHES.includes(name));
if (unknown.length > 0) {
  console.error(`Unknown benches: ${unknown.join(', ')}. Known ones: ${BENCHES.join(', ')}, against <commit>.`);
  process.exit(2);
}

console.log(
  JSON.stringify({
    machine: cpus()[0]?.model.trim(),
    cores: cpus().length,
    node: process.version,
    platform: process.platform,
  }),
);
if (wanted[0] === 'against') await run('against', wanted.slice(1));
else for (const name of BENCHES.filter((bench) => wanted.length === 0 || wanted.includes(bench))) await run(name);

/** Passes signals on and waits for the bench, so that an interrupted one can clean up. */
async function run(name, args = []) {
  const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: 'inherit' });
  const tell = (signal) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, tell);
  const [code] = await once(child, 'exit');
  for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, tell);
  if (code !== 0) process.exit(code ?? 1);
}
