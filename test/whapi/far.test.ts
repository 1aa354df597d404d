import dns from 'node:dns';
import type { LookupAddress } from 'node:dns';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createWhapiClient } from '../../src/whapi/client.js';
import { guardOf } from '../support/guard.js';
import { startFarServer } from '../support/far.js';
import type { FarServer } from '../support/far.js';
import { startLocal } from '../support/gateway.js';
import { until } from '../support/intervals.js';

const TOKEN = 'the-token-of-the-channel';

interface FarWhapi {
  readonly url: string;
  /** Resolves when the first packet to it was sent and dropped. From then on it answers. */
  arrive(): Promise<void>;
}

/** A Whapi whose name has two addresses: one with a handshake of a second, one that refuses. */
async function startFarWhapi(): Promise<FarWhapi> {
  const server: FarServer = await startFarServer();
  const addresses: LookupAddress[] = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
  const lookup = vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((
      _hostname: string,
      _options: object,
      callback: (error: null, addresses: LookupAddress[]) => void,
    ) => process.nextTick(callback, null, addresses)) as typeof dns.lookup);
  onTestFinished(() => lookup.mockRestore());
  return {
    url: `http://far.example:${server.port}`,
    arrive: async () => {
      await until(() => expect(lookup).toHaveBeenCalledOnce());
      await new Promise(setImmediate);
      server.arrive();
    },
  };
}

describe('a distant Whapi whose name has two addresses', () => {
  it("is reached by the gateway's own calls", async () => {
    const whapi = await startFarWhapi();
    const client = createWhapiClient(guardOf('private'));
    onTestFinished(async () => await client.destroy());
    const answer = client.getMessage({ baseUrl: whapi.url, token: TOKEN }, 'm-1', { resync: true, timeoutMs: 20_000 });
    await whapi.arrive();
    expect(await answer).toMatchObject({ kind: 'found' });
  });

  it('is reached by proxied calls', async () => {
    const gateway = await startLocal();
    const whapi = await startFarWhapi();
    await gateway.addChannel({ whapi_base_url: whapi.url, whapi_token: TOKEN });
    const answer = fetch(`${gateway.url}/whapi/health`, { headers: { authorization: `Bearer ${TOKEN}` } });
    await whapi.arrive();
    expect((await answer).status).toBe(200);
  });
});
