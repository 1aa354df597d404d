import { onTestFinished } from 'vitest';
import type { Lookup } from '../../src/guard.js';
import { createSender } from '../../src/delivery/send.js';
import type { Outgoing, Sender } from '../../src/delivery/send.js';
import { systemEffects } from '../../src/effects.js';
import type { Effects } from '../../src/effects.js';
import type { Target } from '../../src/model.js';
import { guardOf } from './guard.js';
import { target } from './store.js';

/** The delivery sender on its own, for inputs that a whole gateway would refuse. It is closed after the test. */
export function startSender(networks: string, lookup?: Lookup, effects: Pick<Effects, 'now'> = systemEffects): Sender {
  const sender = createSender({
    openSecret: (sealed) => (sealed === '{}' ? sealed : `whsec_${Buffer.alloc(32, 7).toString('base64')}`),
    guard: guardOf(networks, lookup),
    gatewayId: 'gtw_test',
    effects,
  });
  onTestFinished(async () => await sender.destroy());
  return sender;
}

/** Discards all log lines. */
export const SILENT = { onSettled: () => undefined, onDisabled: () => undefined };

/** A delivery to a URL. */
export function outgoing(url: string, settings: Partial<Target> = {}): Outgoing {
  return {
    id: 'dlv_00000000001',
    target: target('bot', { url, timeoutMs: 5000, ...settings }),
    channel: 'main',
    event: { type: 'messages', method: 'post' },
    method: 'POST',
    suffix: '',
    contentType: 'application/json',
    body: Buffer.from('{"messages":[]}'),
    verdicts: ['event'],
    via: null,
  };
}

/** A resolver with one set of addresses for every name, which a test may change. */
export function resolverOf(...answers: string[]): { answers: string[]; names: string[]; lookup: Lookup } {
  const resolver = {
    answers,
    names: [] as string[],
    lookup: ((hostname, _options, callback) => {
      resolver.names.push(hostname);
      const addresses = resolver.answers.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      process.nextTick(() => callback(null, addresses));
    }) as Lookup,
  };
  return resolver;
}
