import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

/** Runs all benches in order, each printing one JSON line. `npm run bench -- accept` runs one. */
const BENCHES = [
  'accept',
  'large-webhook',
  'end-to-end',
  'latency',
  'backlog',
  'leases',
  'bulk',
  'proxy',
  'sign',
  'decode',
  'resync-list',
  'metrics',
  'start',
];
const wanted = process.argv.slice(2);

console.log(
  JSON.stringify({
    machine: cpus()[0]?.model.trim(),
    cores: cpus().length,
    node: process.version,
    platform: process.platform,
  }),
);
for (const name of BENCHES.filter((bench) => wanted.length === 0 || wanted.includes(bench))) {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`./${name}.js`, import.meta.url))], {
    stdio: 'inherit',
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) process.exit(code ?? 1);
}
