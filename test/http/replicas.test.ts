import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { connect } from '../../src/store/postgres/engine.js';
import { startApi, unreachableUrl } from '../support/api.js';
import { KEYS } from '../support/engines.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway } from '../support/gateway.js';
import { locationOf, useDatabases } from '../support/postgres/fixture.js';
import { textWebhook } from '../support/texts.js';
import { bearer, send } from '../support/whapi-proxy.js';

const databases = useDatabases({});

/** Two gateways on one database, and the channel `main`, which both know. */
async function startTwo(): Promise<readonly [LocalGateway, LocalGateway]> {
  const env = { ...KEYS, DATABASE_URL: await databases.create() };
  const [one, two] = [await startApi({ env }), await startLocal({ env })];
  expect((await two.webhook(textWebhook('known'))).status).toBe(200);
  return [one, two];
}

describe('what one replica has just changed is known to the other one', () => {
  it('if a webhook carries the new secret of its channel', async () => {
    const [one, two] = await startTwo();
    for (const secret of ['the-second-secret-of-it', 'the-third-secret-of-it']) {
      await one.call('PATCH', '/v1/channels/main', { webhook_secret: secret });
      expect((await two.webhook(textWebhook(secret), { secret })).status).toBe(200);
    }
  });

  it('if a webhook is for a new channel', async () => {
    const [one, two] = await startTwo();
    for (const name of ['second', 'third']) {
      await one.addChannel({ name });
      expect((await two.webhook(textWebhook(name), { channel: name })).status).toBe(200);
    }
  });

  it('if a request to Whapi carries the new token of its channel', async () => {
    const [one, two] = await startTwo();
    const settings = { whapi_base_url: await unreachableUrl() };
    for (const token of ['the-second-token', 'the-third-token']) {
      await one.call('PATCH', '/v1/channels/main', { ...settings, whapi_token: token });
      expect((await send(`${two.url}/whapi`, { headers: bearer(token) })).status).toBe(502);
    }
  });

  it('if a target is new', async () => {
    const [one, two] = await startTwo();
    for (const name of ['first', 'second']) {
      const { id } = await one.addTarget({ name, url: await unreachableUrl() });
      expect((await two.call('GET', `/v1/targets/${id}`)).body).toMatchObject({ name });
    }
  });
});

it('wrong secrets and unknown names ask the database four times a second at most, and all see the same answer', async () => {
  let pauseIsOver = (): void => undefined;
  const sleep = async (): Promise<void> => await new Promise((resolve) => (pauseIsOver = resolve));
  const location = locationOf(await databases.create());
  const { db, registry } = await connect(location, { ...systemEffects, monotonic: () => 0, sleep });
  onTestFinished(async () => await db.end());
  await registry.afterMiss();
  const asked = vi.spyOn(db, 'one');
  const guesses = Array.from({ length: 100 }, async () => await registry.afterMiss());
  expect(asked).not.toHaveBeenCalled();
  pauseIsOver();
  expect(new Set(await Promise.all(guesses)).size).toBe(1);
  expect(asked).toHaveBeenCalledTimes(1);
});
