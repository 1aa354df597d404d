import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger } from 'fastify';
import {
  createTarget,
  deleteTarget,
  getTarget,
  listTargets,
  rotateTargetSecret,
  testTarget,
  updateTarget,
} from '../contract/operations/targets.js';
import type { ChangedTarget, Target as TargetJson, TargetChange } from '../contract/targets.js';
import { newId } from '../effects.js';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import { sameBotWarning } from '../intake/subscription.js';
import type { Breaker, Target, TargetTest } from '../model.js';
import { newSigningSecret } from '../signing-secret.js';
import type { Encryption } from '../encryption.js';
import { placeOf } from '../secret-places.js';
import type { App } from './app.js';
import { checkedEventNames } from './event-names.js';
import { iso, isoOrNull, pageOfAll, pageRequest } from './schemas.js';
import { checkTarget } from './target-checks.js';
import { refuseWhileUnderWay } from './under-way.js';
import { invalidField } from './validation-errors.js';
import { changeOf, DEFAULTS, fieldsOf, GRACE_SECONDS, targetJson, testJson } from './target-json.js';
import type { Outbox } from '../store/outbox.js';
import type { Predecessor, Registry } from '../store/registry.js';

export interface TargetRoutesOptions {
  readonly store: { readonly registry: Registry; readonly outbox: Pick<Outbox, 'loadOf'> };
  readonly encryption: Encryption;
  readonly effects: Pick<Effects, 'now' | 'randomBytes'>;
  /** Why a URL cannot be a target's; null where it can. */
  readonly whyRefused: (url: string) => string | null;
  /** Sends an empty event to a target, past the queue. */
  readonly sendTest: (target: Target) => Promise<TargetTest>;
  /** Called after a target was changed, because pending deliveries may now be due. */
  readonly onDeliveries: () => void;
  /** Called after a target was removed, because its pending deliveries now end in the background. */
  readonly onRemoved: () => void;
  readonly breakers: BreakersOfTargets;
  readonly log: Pick<FastifyBaseLogger, 'info'>;
}

/** The circuit breakers of targets, as far as people look at them and have a say. */
export interface BreakersOfTargets {
  /** Reads what other replicas have stored. */
  refresh(): Promise<void>;
  of(targetId: string): Breaker;
  /** Closes the circuit breaker manually. */
  close(targetId: string): Promise<void>;
}

/** `/v1/targets`. */
export const targetRoutes: FastifyPluginAsyncTypebox<TargetRoutesOptions> = async (app, options) => {
  createRoute(app, options);
  readRoutes(app, options);
  updateRoute(app, options);
  deleteRoute(app, options);
  rotateSecretRoute(app, options);
  testRoute(app, options);
  await Promise.resolve();
};

function createRoute(app: App, options: TargetRoutesOptions): void {
  const { store, encryption, effects, log } = options;
  app.post('/targets', { schema: createTarget }, async ({ body }, reply) => {
    checkTarget(body, options.whyRefused);
    const signingSecret = body.secret ?? newSigningSecret(effects.randomBytes);
    const filled = { ...DEFAULTS, ...body };
    const id = newId('tgt', effects);
    const target: Target = {
      id,
      headers: sealedHeaders(id, filled.headers, encryption),
      secret: encryption.seal(signingSecret, placeOf.secret({ id })),
      previousSecrets: [],
      disabledReason: null,
      createdAt: effects.now(),
      name: filled.name,
      url: filled.url,
      ...fieldsOf({ ...filled, events: checkedEventNames(filled.events) }),
    };
    await store.registry.addTarget(target);
    log.info({ target: target.id, name: target.name }, 'target added');
    return await reply.code(201).send({ ...(await jsonWithWarnings(target, options)), secret: signingSecret });
  });
}

function readRoutes(app: App, options: TargetRoutesOptions): void {
  const { registry } = options.store;
  app.get('/targets', { schema: listTargets }, async ({ query }) => {
    const { data, nextCursor } = pageOfAll(await registry.targets(), keyOf, pageRequest(query));
    return {
      data: await Promise.all(data.map(async (target) => await jsonWithLoad(target, options))),
      next_cursor: nextCursor,
    };
  });

  app.get(
    '/targets/:id',
    { schema: getTarget },
    async ({ params }) => await jsonWithLoad(await mustHave(registry, params.id), options),
  );
}

function updateRoute(app: App, options: TargetRoutesOptions): void {
  const { store, encryption, log } = options;
  app.patch('/targets/:id', { schema: updateTarget }, async ({ params, body }) => {
    checkTarget(body, options.whyRefused);
    const changed = await store.registry.changeTarget(params.id, {
      ...(body.headers !== undefined && { headers: sealedHeaders(params.id, body.headers, encryption) }),
      // A change, unlike a rotation, is at once: what signed before does no more.
      ...(body.secret !== undefined && {
        secret: encryption.seal(body.secret, placeOf.secret(params)),
        previousSecrets: [],
      }),
      ...changeOf(body),
      ...(body.events && { events: checkedEventNames(body.events) }),
    });
    log.info({ target: params.id, fields: Object.keys(body) }, 'target changed');
    if (saysItWorks(body)) await closeBreaker(params.id, options);
    else options.onDeliveries();
    return await jsonWithWarnings(changed, options);
  });
}

function deleteRoute(app: App, { store, log, onRemoved }: TargetRoutesOptions): void {
  app.delete('/targets/:id', { schema: deleteTarget }, async ({ params, query }, reply) => {
    const { id, name } = await mustHave(store.registry, params.id);
    if (query.force !== true) refuseWhileUnderWay('target', name, await store.registry.workOfTarget(id));
    await store.registry.removeTarget(id);
    log.info({ target: id, name }, 'target removed');
    onRemoved();
    return await reply.code(204).send(null);
  });
}

function rotateSecretRoute(app: App, options: TargetRoutesOptions): void {
  const { store, encryption, effects, log } = options;
  app.post('/targets/:id/rotate-secret', { schema: rotateTargetSecret }, async ({ params, body }) => {
    const wanted = body ?? {};
    checkTarget(wanted, options.whyRefused);
    const { id, secret: current } = await mustHave(store.registry, params.id);
    if (wanted.secret === encryption.open(current, placeOf.secret({ id }))) {
      throw invalidField('/secret', '"secret" is the current signing secret; send another one');
    }
    const secret = wanted.secret ?? newSigningSecret(effects.randomBytes);
    const graceSeconds = wanted.grace_seconds ?? GRACE_SECONDS;
    const expiresAt = graceSeconds === 0 ? null : effects.now() + graceSeconds * 1000;
    await store.registry.rotateSecret(
      id,
      encryption.seal(secret, placeOf.secret({ id })),
      expiresAt === null ? null : { expiresAt, seal: asPrevious(id, encryption) },
    );
    log.info({ target: id, fields: ['secret'] }, 'target changed');
    return { id, secret, previous_secret_expires_at: isoOrNull(expiresAt) };
  });
}

function testRoute(app: App, options: TargetRoutesOptions): void {
  app.post('/targets/:id/test', { schema: testTarget }, async ({ params }) => {
    const test = await options.sendTest(await mustHave(options.store.registry, params.id));
    if (test.error === null) await closeBreaker(params.id, options);
    return testJson(test);
  });
}

/** A person who enables a target or gives it another URL says that it works. */
function saysItWorks({ enabled, url }: TargetChange): boolean {
  return enabled === true || url !== undefined;
}

async function closeBreaker(id: string, { breakers, onDeliveries }: TargetRoutesOptions): Promise<void> {
  await breakers.close(id);
  onDeliveries();
}

/** @throws GatewayError GW_NOT_FOUND */
export async function mustHave(registry: Pick<Registry, 'target'>, id: string): Promise<Target> {
  const target = await registry.target(id);
  if (!target) throw new GatewayError('GW_NOT_FOUND', `There is no target "${id}".`);
  return target;
}

function sealedHeaders(id: string, headers: Record<string, string>, encryption: Encryption): Target['headers'] {
  return encryption.seal(JSON.stringify(headers), placeOf.headers({ id }));
}

/** Seals the current secret of a target for its place among the previous ones. */
function asPrevious(id: string, { open, seal }: Encryption): Predecessor['seal'] {
  return (current) => seal(open(current, placeOf.secret({ id })), placeOf.previousSecret({ id }));
}

async function jsonWithLoad(target: Target, { encryption, breakers, store }: TargetRoutesOptions): Promise<TargetJson> {
  const headers = JSON.parse(encryption.open(target.headers, placeOf.headers(target))) as Record<string, string>;
  await breakers.refresh();
  return targetJson(target, headers, breakers.of(target.id), await store.outbox.loadOf(target.id));
}

async function jsonWithWarnings(target: Target, options: TargetRoutesOptions): Promise<ChangedTarget> {
  const json = await jsonWithLoad(target, options);
  const message = sameBotWarning(target, await options.store.registry.targets());
  return { ...json, warnings: message === null ? [] : [{ code: 'same_url', message }] };
}

function keyOf({ createdAt, id }: Target): string {
  return `${iso(createdAt)} ${id}`;
}
