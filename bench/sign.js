import { Webhook } from 'standardwebhooks';
import { signatureOf } from '../dist/delivery/sign.js';
import { newSigningSecret, signingKey } from '../dist/signing-secret.js';
import { randomBytes } from 'node:crypto';
import { median } from './load.js';

/** One signature of a delivery, as a ratio to the `standardwebhooks` package, which hashes in JavaScript. */
const ROUNDS = 7;
const SIZES = { '2 KB': { bytes: 2048, times: 2000 }, '10 MB': { bytes: 10 * 1024 * 1024, times: 1 } };

const secret = newSigningSecret(randomBytes);
const key = signingKey(secret);
const library = new Webhook(secret);
const SECONDS = 1_700_000_000;

function msPerCall(times, call) {
  const begun = performance.now();
  for (let time = 0; time < times; time += 1) call();
  return (performance.now() - begun) / times;
}

const results = Object.entries(SIZES).map(([size, { bytes, times }]) => {
  const body = Buffer.alloc(bytes, 'x');
  const ours = () => signatureOf(key, 'dlv_1', SECONDS, body);
  const theirs = () => library.sign('dlv_1', new Date(SECONDS * 1000), body);
  if (ours() !== theirs()) throw new Error('The signatures differ.');
  const rounds = Array.from({ length: ROUNDS }, () => [msPerCall(times, theirs), msPerCall(times, ours)]);
  const [libraryMs, oursMs] = [0, 1].map((at) => median(rounds.map((round) => round[at])));
  return { body: size, ratio: Number((oursMs / libraryMs).toFixed(3)), library_ms: libraryMs, gateway_ms: oursMs };
});

console.log(
  JSON.stringify({ bench: 'signing', baseline: 'standardwebhooks, in the same process', rounds: ROUNDS, results }),
);
