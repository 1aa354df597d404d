import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import { Id } from '../contract/fields.js';
import { orNull, pageQuery, ref } from '../contract/schema.js';
import {
  ChangedTargetSchema,
  CreatedTargetSchema,
  NewTargetSchema,
  RotatedSecretSchema,
  RotationSchema,
  TargetChangeSchema,
  TargetPageSchema,
  TargetSchema,
  TargetTestSchema,
} from '../contract/targets.js';
import type { ChangedTarget, Target as TargetJson } from '../contract/targets.js';
import { newId } from '../effects.js';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import { sameBotWarning } from '../intake/subscription.js';
import type { Breaker, Target, TargetTest } from '../model.js';
import { isSigningSecret, newSigningSecret } from '../signing-secret.js';
import type { Encryption } from '../encryption.js';
import { checkedEventNames } from './event-names.js';
import { pointerPart, shown } from './schema-words.js';
import { iso, isoOrNull, pageOfAll, pageRequest } from './schemas.js';
import { changeOf, DEFAULTS, fieldsOf, GRACE_SECONDS, MASK, targetJson, testJson } from './target-json.js';
import { invalidField } from './validation-errors.js';
import type { Outbox } from '../store/outbox.js';
import type { Registry } from '../store/registry.js';

export interface TargetRoutesOptions {
  readonly store: { readonly registry: Registry; readonly outbox: Pick<Outbox, 'loadOf'> };
  readonly encryption: Encryption;
  readonly effects: Pick<Effects, 'now' | 'randomBytes'>;
  /** Why a URL cannot be a target's; null where it can. */
  readonly whyRefused: (url: string) => string | null;
  /** Sends an empty event to a target, past the queue. */
  readonly sendTest: (target: Target) => Promise<TargetTest>;
  /** Told after a target was changed: what waited may be due. */
  readonly onDeliveries: () => void;
  readonly breakers: BreakersOfTargets;
  readonly log: Pick<FastifyBaseLogger, 'info'>;
}

/** The circuit breakers of targets, as far as people look at them and have a say. */
export interface BreakersOfTargets {
  of(targetId: string): Breaker;
  /** A person says that the target is well. */
  close(targetId: string): Promise<void>;
}

const tags = ['targets'];

/** Headers that the gateway or HTTP itself sets. */
const RESERVED_HEADER =
  /^(webhook-.*|x-gateway-.*|content-type|content-length|host|connection|transfer-encoding|expect|upgrade|keep-alive|te|trailer)$/i;
const SIGNING_SECRET = '"whsec_" and 24 to 64 bytes in base64 (make one with: echo "whsec_$(openssl rand -base64 32)")';
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;

/** `/v1/targets`. */
export const targetRoutes: FastifyPluginAsyncTypebox<TargetRoutesOptions> = async (app, options) => {
  const { store, encryption, effects, log } = options;

  const check = (body: { url?: string; secret?: string; headers?: Record<string, string> }): void => {
    const refusal = body.url === undefined ? null : options.whyRefused(body.url);
    if (refusal !== null) throw invalidField('/url', `"url" is ${shown(body.url)}. ${refusal}`);
    if (body.secret !== undefined && !isSigningSecret(body.secret)) {
      throw invalidField('/secret', `"secret" is not valid; expected ${SIGNING_SECRET}`);
    }
    const header = Object.keys(body.headers ?? {}).find((key) => !HEADER_NAME.test(key) || RESERVED_HEADER.test(key));
    if (header !== undefined) throw invalidField(headerPath(header), headerRefusal(header));
    const masked = Object.entries(body.headers ?? {}).find(([, value]) => value === MASK)?.[0];
    if (masked !== undefined)
      throw invalidField(
        headerPath(masked),
        `header "${masked}" is "${MASK}", the mask of a secret; send the value itself`,
      );
  };

  const sealed = (headers: Record<string, string>) => encryption.seal(JSON.stringify(headers));
  const json = async (target: Target): Promise<TargetJson> =>
    targetJson(
      target,
      JSON.parse(encryption.open(target.headers)) as Record<string, string>,
      options.breakers.of(target.id),
      await store.outbox.loadOf(target.id),
    );

  const warningsAbout = async (target: Target): Promise<ChangedTarget['warnings']> => {
    const message = sameBotWarning(target, await store.registry.targets());
    return message === null ? [] : [{ code: 'same_url', message }];
  };

  const isWell = async (id: string): Promise<void> => {
    await options.breakers.close(id);
    options.onDeliveries();
  };

  const mustHave = async (id: string): Promise<Target> => {
    const target = await store.registry.target(id);
    if (!target) throw new GatewayError('GW_NOT_FOUND', `There is no target "${id}".`);
    return target;
  };

  app.post(
    '/targets',
    {
      schema: {
        tags,
        summary: 'Add a target',
        body: ref(NewTargetSchema),
        response: { 201: ref(CreatedTargetSchema) },
      },
    },
    async ({ body }, reply) => {
      check(body);
      const signingSecret = body.secret ?? newSigningSecret(effects.randomBytes);
      const filled = { ...DEFAULTS, ...body };
      const target: Target = {
        id: newId('tgt', effects),
        headers: sealed(filled.headers),
        secret: encryption.seal(signingSecret),
        previousSecrets: [],
        disabledReason: null,
        createdAt: effects.now(),
        name: filled.name,
        url: filled.url,
        ...fieldsOf({ ...filled, events: checkedEventNames(filled.events) }),
      };
      await store.registry.addTarget(target);
      log.info({ target: target.id, name: target.name }, 'target added');
      const warnings = await warningsAbout(target);
      return await reply.code(201).send({ ...(await json(target)), warnings, secret: signingSecret });
    },
  );

  app.get(
    '/targets',
    {
      schema: {
        tags,
        summary: 'Targets, oldest first',
        querystring: pageQuery({}),
        response: { 200: ref(TargetPageSchema) },
      },
    },
    async ({ query }) => {
      const { data, nextCursor } = pageOfAll(await store.registry.targets(), keyOf, pageRequest(query));
      return { data: await Promise.all(data.map(json)), next_cursor: nextCursor };
    },
  );

  app.get(
    '/targets/:id',
    { schema: { tags, summary: 'One target', params: Id, response: { 200: ref(TargetSchema) } } },
    async ({ params }) => await json(await mustHave(params.id)),
  );

  app.patch(
    '/targets/:id',
    {
      schema: {
        tags,
        summary: 'Change a target',
        params: Id,
        body: ref(TargetChangeSchema),
        response: { 200: ref(ChangedTargetSchema) },
      },
    },
    async ({ params, body }) => {
      check(body);
      const changed = await store.registry.changeTarget(params.id, {
        ...(body.name !== undefined && { name: body.name }),
        ...(body.url !== undefined && { url: body.url }),
        ...(body.headers !== undefined && { headers: sealed(body.headers) }),
        // A change, unlike a rotation, is at once: what signed before does no more.
        ...(body.secret !== undefined && { secret: encryption.seal(body.secret), previousSecrets: [] }),
        ...changeOf(body),
        ...(body.events && { events: checkedEventNames(body.events) }),
      });
      log.info({ target: params.id, fields: Object.keys(body) }, 'target changed');
      const isSaidToBeWell = body.enabled === true || body.url !== undefined;
      if (isSaidToBeWell) await isWell(params.id);
      else options.onDeliveries();
      return { ...(await json(changed)), warnings: await warningsAbout(changed) };
    },
  );

  app.delete(
    '/targets/:id',
    {
      schema: {
        tags,
        summary: 'Remove a target: its pending deliveries end as dead',
        params: Id,
        response: { 204: Type.Null() },
      },
    },
    async ({ params }, reply) => {
      await store.registry.removeTarget(params.id);
      log.info({ target: params.id }, 'target removed');
      return await reply.code(204).send(null);
    },
  );

  app.post(
    '/targets/:id/rotate-secret',
    {
      schema: {
        tags,
        summary: 'Give a target a new secret; the one before it signs as well for a while',
        params: Id,
        body: orNull(ref(RotationSchema)),
        response: { 200: ref(RotatedSecretSchema) },
      },
    },
    async ({ params, body }) => {
      const wanted = body ?? {};
      check(wanted);
      const { id, secret: current } = await mustHave(params.id);
      if (wanted.secret === encryption.open(current))
        throw invalidField('/secret', '"secret" is the current signing secret; send another one');
      const secret = wanted.secret ?? newSigningSecret(effects.randomBytes);
      const graceSeconds = wanted.grace_seconds ?? GRACE_SECONDS;
      const expiresAt = graceSeconds === 0 ? null : effects.now() + graceSeconds * 1000;
      await store.registry.rotateSecret(id, encryption.seal(secret), expiresAt);
      log.info({ target: id, fields: ['secret'] }, 'target changed');
      return { id, secret, previous_secret_expires_at: isoOrNull(expiresAt) };
    },
  );

  app.post(
    '/targets/:id/test',
    {
      schema: {
        tags,
        summary: 'Send an empty event of a kind that the target subscribes to, past the queue',
        params: Id,
        response: { 200: ref(TargetTestSchema) },
      },
    },
    async ({ params }) => {
      const test = await options.sendTest(await mustHave(params.id));
      if (test.error === null) await isWell(params.id);
      return testJson(test);
    },
  );
  await Promise.resolve();
};

function headerPath(name: string): string {
  return `/headers/${pointerPart(name)}`;
}

function headerRefusal(name: string): string {
  return HEADER_NAME.test(name)
    ? `header "${name}" is set by the gateway or by HTTP itself; remove it`
    : `${shown(name)} is not a header name; expected letters, digits and "-", for example X-Tenant`;
}

function keyOf({ createdAt, id }: Target): string {
  return `${iso(createdAt)} ${id}`;
}
