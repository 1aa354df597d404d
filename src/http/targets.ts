import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { newId } from '../effects.js';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import type { Registry } from '../ledger/ledger.js';
import type { Attempt, Target, Verdict } from '../model.js';
import { pointerPart } from './problem.js';
import { isSigningSecret, newSigningSecret } from '../signing-secret.js';
import type { Vault } from '../vault.js';
import {
  attemptJson,
  AttemptSchema,
  CHANNEL_NAME,
  EVENT_PATTERN,
  iso,
  ModeSchema,
  orNull,
  pageJson,
  pageOf,
  pageOfAll,
  pageQuery,
  pageRequest,
  problems,
  Time,
  VerdictSchema,
} from './schemas.js';
import type { Json } from './schemas.js';

export interface TargetRoutesOptions {
  readonly ledger: Registry;
  readonly vault: Vault;
  readonly effects: Pick<Effects, 'now' | 'randomBytes'>;
  /** Why a URL cannot be a target's; null where it can. */
  readonly refusalOf: (url: string) => string | null;
  /** Sends a harmless event to a target, past the queue. */
  readonly sendTest: (target: Target) => Promise<Attempt>;
}

/** What API.md gives a target where its maker says nothing. */
const DEFAULTS = {
  channels: ['*'],
  events: ['*'],
  deliver: ['new', 'late', 'event'] as Verdict[],
  mode: 'as_received' as const,
  headers: {} as Record<string, string>,
  timeout_ms: 15_000,
  max_attempts: 10,
  max_age_seconds: null,
  concurrency: 16,
  rate_per_second: null,
  enabled: true,
};

const name = Type.String({ minLength: 1, maxLength: 100 });
const url = Type.String({ maxLength: 2048, pattern: '^https?://' });
const secret = Type.String({ maxLength: 100, description: 'whsec_… (Standard Webhooks); made where it is left out' });
const settings = {
  channels: Type.Array(Type.String({ pattern: `^\\*$|${CHANNEL_NAME}` }), { minItems: 1, maxItems: 1000 }),
  events: Type.Array(Type.String({ pattern: EVENT_PATTERN }), {
    minItems: 1,
    maxItems: 100,
    description: '`*`, `messages`, `messages.post`, `statuses.*` …',
  }),
  deliver: Type.Array(VerdictSchema, { minItems: 1, uniqueItems: true }),
  mode: ModeSchema,
  headers: Type.Record(Type.String(), Type.String({ maxLength: 4096, pattern: '^[\\t\\x20-\\x7e\\x80-\\xff]*$' }), {
    maxProperties: 50,
  }),
  timeout_ms: Type.Integer({ minimum: 100, maximum: 60_000, description: 'The whole attempt' }),
  max_attempts: Type.Integer({ minimum: 1, maximum: 100 }),
  max_age_seconds: orNull(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
  concurrency: Type.Integer({ minimum: 1, maximum: 256, description: 'Requests in flight' }),
  rate_per_second: orNull(Type.Number({ exclusiveMinimum: 0, maximum: 100_000 })),
  enabled: Type.Boolean({ description: 'false: deliveries wait, nothing is lost' }),
};

const optional = Type.Partial(Type.Object({ ...settings, secret }));
const NewTarget = Type.Object({ name, url, ...optional.properties }, { additionalProperties: false });
const TargetChange = Type.Object(
  { name: Type.Optional(name), url: Type.Optional(url), ...optional.properties },
  { additionalProperties: false, minProperties: 1 },
);

const shown = {
  id: Type.String(),
  name: Type.String(),
  url: Type.String(),
  ...settings,
  headers: Type.Record(Type.String(), Type.String(), {
    description: 'Values of headers that carry secrets are masked',
  }),
  created_at: Time,
};
const TargetSchema = Type.Object(shown);
const NewTargetSchema = Type.Object({ ...shown, secret: Type.String({ description: 'Shown this once' }) });
const TestResult = Type.Object({ delivered: Type.Boolean(), ...AttemptSchema.properties });

const Id = Type.Object({ id: Type.String() });
const tags = ['targets'];

/** Headers that the gateway or HTTP itself sets. */
const RESERVED_HEADER =
  /^(webhook-.*|x-gateway-.*|content-type|content-length|host|connection|transfer-encoding|expect|upgrade|keep-alive|te|trailer)$/i;
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
const MASK = '***';
const SECRET_HEADER = /authorization|cookie|token|secret|key|password/i;

/** `/v1/targets`. */
export const targetRoutes: FastifyPluginAsyncTypebox<TargetRoutesOptions> = async (app, options) => {
  const { ledger, vault, effects } = options;

  const check = (body: { url?: string; secret?: string; headers?: Record<string, string> }): void => {
    const refusal = body.url === undefined ? null : options.refusalOf(body.url);
    if (refusal !== null) throw bad('/url', refusal);
    if (body.secret !== undefined && !isSigningSecret(body.secret)) {
      throw bad('/secret', 'must be whsec_ and 24 to 64 bytes in base64');
    }
    const header = Object.keys(body.headers ?? {}).find((key) => !HEADER_NAME.test(key) || RESERVED_HEADER.test(key));
    if (header !== undefined) throw bad(`/headers/${pointerPart(header)}`, 'is not a header that a target may set');
    const masked = Object.entries(body.headers ?? {}).find(([, value]) => value === MASK)?.[0];
    if (masked !== undefined)
      throw bad(`/headers/${pointerPart(masked)}`, 'is the mask of a secret: send the value itself');
  };

  const mustHave = async (id: string): Promise<Target> => {
    const target = await ledger.target(id);
    if (!target) throw new GatewayError('GW_NOT_FOUND', `There is no target "${id}".`);
    return target;
  };

  app.post(
    '/targets',
    { schema: { tags, summary: 'Add a target', body: NewTarget, response: { 201: NewTargetSchema, ...problems } } },
    async ({ body }, reply) => {
      check(body);
      const signingSecret = body.secret ?? newSigningSecret(effects.randomBytes);
      const filled = { ...DEFAULTS, ...body };
      const target: Target = {
        id: newId('tgt', effects),
        secret: vault.seal(signingSecret),
        createdAt: effects.now(),
        name: filled.name,
        url: filled.url,
        ...fieldsOf(filled),
      };
      await ledger.addTarget(target);
      return await reply.code(201).send({ ...targetJson(target), secret: signingSecret });
    },
  );

  app.get(
    '/targets',
    {
      schema: {
        tags,
        summary: 'Targets, oldest first',
        querystring: pageQuery({}),
        response: { 200: pageOf(TargetSchema), ...problems },
      },
    },
    async ({ query }) => pageJson(pageOfAll(await ledger.targets(), keyOf, pageRequest(query)), targetJson),
  );

  app.get(
    '/targets/:id',
    { schema: { tags, summary: 'One target', params: Id, response: { 200: TargetSchema, ...problems } } },
    async ({ params }) => targetJson(await mustHave(params.id)),
  );

  app.patch(
    '/targets/:id',
    {
      schema: {
        tags,
        summary: 'Change a target',
        params: Id,
        body: TargetChange,
        response: { 200: TargetSchema, ...problems },
      },
    },
    async ({ params, body }) => {
      check(body);
      const changed = await ledger.changeTarget(params.id, {
        ...(body.name !== undefined && { name: body.name }),
        ...(body.url !== undefined && { url: body.url }),
        ...(body.secret !== undefined && { secret: vault.seal(body.secret) }),
        ...changeOf(body),
      });
      return targetJson(changed);
    },
  );

  app.delete(
    '/targets/:id',
    {
      schema: {
        tags,
        summary: 'Remove a target: its pending deliveries end as dead',
        params: Id,
        response: { 204: Type.Null(), ...problems },
      },
    },
    async ({ params }, reply) => {
      await ledger.removeTarget(params.id);
      return await reply.code(204).send(null);
    },
  );

  app.post(
    '/targets/:id/test',
    { schema: { tags, summary: 'Send a test event', params: Id, response: { 200: TestResult, ...problems } } },
    async ({ params }) => {
      const attempt = await options.sendTest(await mustHave(params.id));
      return { delivered: attempt.error === null, ...attemptJson(attempt) };
    },
  );
  await Promise.resolve();
};

function bad(path: string, message: string): GatewayError {
  return new GatewayError('GW_BAD_REQUEST', `The body is not as it should be: ${path} ${message}`, [{ path, message }]);
}

function keyOf({ createdAt, id }: Target): string {
  return `${iso(createdAt)} ${id}`;
}

type SettingsJson = Pick<Json<typeof TargetSchema>, keyof typeof settings>;

function fieldsOf(json: SettingsJson): Omit<Target, 'id' | 'name' | 'url' | 'secret' | 'createdAt'> {
  return {
    channels: json.channels,
    events: json.events,
    deliver: json.deliver,
    mode: json.mode,
    headers: json.headers,
    timeoutMs: json.timeout_ms,
    maxAttempts: json.max_attempts,
    maxAgeSeconds: json.max_age_seconds,
    concurrency: json.concurrency,
    ratePerSecond: json.rate_per_second,
    enabled: json.enabled,
  };
}

/** Only what the body names, so that of two changes at the same time both are kept. */
function changeOf(json: Partial<SettingsJson>): Partial<Target> {
  return {
    ...(json.channels && { channels: json.channels }),
    ...(json.events && { events: json.events }),
    ...(json.deliver && { deliver: json.deliver }),
    ...(json.mode && { mode: json.mode }),
    ...(json.headers && { headers: json.headers }),
    ...(json.timeout_ms !== undefined && { timeoutMs: json.timeout_ms }),
    ...(json.max_attempts !== undefined && { maxAttempts: json.max_attempts }),
    ...(json.max_age_seconds !== undefined && { maxAgeSeconds: json.max_age_seconds }),
    ...(json.concurrency !== undefined && { concurrency: json.concurrency }),
    ...(json.rate_per_second !== undefined && { ratePerSecond: json.rate_per_second }),
    ...(json.enabled !== undefined && { enabled: json.enabled }),
  };
}

function settingsJson(target: Target): SettingsJson {
  return {
    channels: [...target.channels],
    events: [...target.events],
    deliver: [...target.deliver],
    mode: target.mode,
    headers: { ...target.headers },
    timeout_ms: target.timeoutMs,
    max_attempts: target.maxAttempts,
    max_age_seconds: target.maxAgeSeconds,
    concurrency: target.concurrency,
    rate_per_second: target.ratePerSecond,
    enabled: target.enabled,
  };
}

function targetJson(target: Target): Json<typeof TargetSchema> {
  const headers = Object.entries(target.headers).map(([key, value]) => [key, SECRET_HEADER.test(key) ? MASK : value]);
  return {
    id: target.id,
    name: target.name,
    url: target.url,
    ...settingsJson(target),
    headers: Object.fromEntries(headers) as Record<string, string>,
    created_at: iso(target.createdAt),
  };
}
