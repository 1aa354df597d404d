import { randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Client } from './client.js';
import { startProcess } from './process.js';
import type { GatewayProcess } from './process.js';
import { listening } from './sockets.js';

const SCRIPT = fileURLToPath(new URL('replica-gateway.js', import.meta.url));
const PAUSE_MS = 50;
/** Starts may fail while the server restarts or a connection is cut. Like a supervisor, this starts the process again. */
const MOST_STARTS = 20;

/** Gateways on one database. */
export interface Replicas {
  /** Any of them, also one that was killed or stands still: Whapi does not know. */
  anyone(): Client;
  /** Reaches a running replica, and repeats a call that is answered with a fault of the server. */
  readonly client: Client;
  /** A load balancer without health checks in front of them. */
  readonly url: string;
  /** Kills a random replica that runs, waits for its end, and starts it again. */
  crashOne(): Promise<void>;
  /** @throws Error if a replica has ended by itself */
  check(): void;
  /** Stops a random replica with SIGSTOP until `during` has ended. */
  freezeOne(during: () => Promise<void>): Promise<void>;
}

/** @param intervals of src/gateway.ts, as in replica-gateway.js */
export async function startReplicas(count: number, databaseUrl: string, intervals: unknown): Promise<Replicas> {
  const env = {
    DATABASE_URL: databaseUrl,
    ADMIN_TOKEN: 'the-token-of-the-admin',
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    INTERVALS: JSON.stringify(intervals),
    LOG_LEVEL: 'info',
  };
  const first = await startProcess(env, undefined, SCRIPT); // makes the tables
  const others = Array.from({ length: count - 1 }, async () => await startProcess(env, undefined, SCRIPT));
  const all = [first, ...(await Promise.all(others))];
  const down = new Set<GatewayProcess>();
  const running = (): GatewayProcess => {
    const replica = oneOf(all.filter((each) => !down.has(each)));
    failIfEnded(replica);
    return replica;
  };
  const anyone = (): Client => oneOf(all).client;

  const whileDown = async (replica: GatewayProcess, work: () => Promise<void>): Promise<void> => {
    down.add(replica);
    await work();
    down.delete(replica);
  };

  return {
    anyone,
    check: () => {
      for (const replica of all) if (!down.has(replica)) failIfEnded(replica);
    },
    client: patient(() => running().client),
    url: `http://127.0.0.1:${await startBalancer(() => Number(new URL(anyone().url).port))}`,
    crashOne: async () => {
      const replica = running();
      await whileDown(replica, async () => {
        await replica.end('SIGKILL');
        await startAgain(replica);
      });
    },
    freezeOne: async (during) => {
      const replica = running();
      await whileDown(replica, async () => {
        process.kill(replica.pid, 'SIGSTOP');
        await during().finally(() => process.kill(replica.pid, 'SIGCONT'));
      });
    },
  };
}

function failIfEnded({ hasEnded, log }: GatewayProcess): void {
  if (hasEnded) throw new Error(`A gateway has ended by itself:\n${log.slice(-20).join('\n')}`);
}

async function startAgain(replica: GatewayProcess): Promise<void> {
  for (let start = 1; ; start += 1) {
    try {
      await replica.start();
      return;
    } catch (error) {
      if (start === MOST_STARTS) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

/** A client that repeats a call until it is answered without a fault of the server. */
function patient(client: () => Client): Client {
  const call: Client['call'] = async (...request) => {
    for (;;) {
      const { call: once } = client();
      const answer = await once<never>(...request).catch(() => null);
      if (answer && answer.status < 500) return answer;
      await sleep(PAUSE_MS);
    }
  };
  return { ...client(), call };
}

/** Joins each connection to the port that `choose` returns. Returns its own port. */
async function startBalancer(choose: () => number): Promise<number> {
  const { port } = await listening(
    createServer((from) => {
      const to = connect(choose(), '127.0.0.1');
      to.on('error', () => from.destroy());
      from.on('close', () => to.destroy());
      to.on('close', () => from.destroy());
      from.pipe(to).pipe(from);
    }),
  );
  return port;
}

function oneOf<T>(all: readonly T[]): T {
  const one = all[Math.floor(Math.random() * all.length)];
  if (one === undefined) throw new Error('There is none to choose.');
  return one;
}
