import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { median } from './load.js';
import { startGateway, startUpstream } from './servers.js';

/** The proxied Whapi API: the added cost of a call and of an upload of 100 MB, compared in one run. */
const TOKEN = 'the-token-of-the-bench';
const ROUNDS = 5;
const CALLS = 5000;
const AT_ONCE = 8;
const UPLOAD_PIECES = 1600;
const PIECE = Buffer.alloc(64 * 1024, 1);

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

/** One request. Resolves with its milliseconds once the whole answer has arrived. */
function call(base, path, { method = 'GET', write } = {}) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const out = request(base + path, { agent, method, headers: { authorization: `Bearer ${TOKEN}` } }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`${answer.statusCode} from ${base}`));
      answer.resume().on('end', () => resolve(performance.now() - begun));
    });
    out.on('error', reject);
    if (write) write(out);
    else out.end();
  });
}

async function calls(base) {
  const times = [];
  let left = CALLS;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      times.push(await call(base, '/messages/p.w30M7fgwWD4XwHu.1-gNcCzMdVPg'));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(CALLS * 0.5)], p99: times[Math.floor(CALLS * 0.99)] };
}

async function upload(base) {
  const write = (out) => {
    let left = UPLOAD_PIECES;
    const more = () => {
      while (left > 0) {
        left -= 1;
        if (!out.write(PIECE)) return void out.once('drain', more);
      }
      out.end();
    };
    more();
  };
  const ms = await call(base, '/media', { method: 'POST', write });
  return (UPLOAD_PIECES * PIECE.length) / 1e6 / (ms / 1000);
}

const peakMiB = (pid) => Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

const upstream = await startUpstream();
const gateway = await startGateway({ API_RATE_PER_MINUTE: '0' });
await gateway.call('PATCH', '/v1/channels/main', { whapi_token: TOKEN, whapi_base_url: upstream.url });
const through = `${gateway.url}/whapi`;
await calls(upstream.url);
await calls(through);
const rounds = [];
for (let round = 0; round < ROUNDS; round += 1) {
  rounds.push({ direct: await calls(upstream.url), through: await calls(through) });
}
const before = peakMiB(gateway.pid);
const direct = await upload(upstream.url);
const passed = await upload(through);
const grownBy = peakMiB(gateway.pid) - before;
agent.destroy();
await gateway.stop();
await upstream.stop();

const ms = (pick) => Number(median(rounds.map(pick)).toFixed(2));
console.log(
  JSON.stringify({
    bench: "Whapi's API passed through",
    baseline: 'the same calls to the same server without the gateway',
    direct_p50_ms: ms((round) => round.direct.p50),
    through_p50_ms: ms((round) => round.through.p50),
    direct_p99_ms: ms((round) => round.direct.p99),
    through_p99_ms: ms((round) => round.through.p99),
    overhead_p50_ms: ms((round) => round.through.p50 - round.direct.p50),
    overhead_p99_ms: ms((round) => round.through.p99 - round.direct.p99),
    upload_direct_mb_per_second: Math.round(direct),
    upload_through_mb_per_second: Math.round(passed),
    upload_peak_memory_growth_mib: Math.round(grownBy),
    calls_at_once: AT_ONCE,
    calls_per_round: CALLS,
    rounds: ROUNDS,
  }),
);
