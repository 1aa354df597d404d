import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { JudgeRequest, Trial as TrialJson, TrialSettings as SettingsJson } from '../contract/judge.js';
import { judgeWebhook } from '../contract/operations/items.js';
import { GatewayError } from '../errors.js';
import { inSlices } from '../event-loop.js';
import { decodeInSlices } from '../intake/decode.js';
import { reasonOf } from '../intake/judge.js';
import { checkedEventNames } from './event-names.js';
import { evidenceJson } from './item-json.js';
import { invalidField } from './validation-errors.js';
import type { Judging, Trial, TrialSettings, TrialTarget } from '../store/judging.js';

export interface JudgeRoutesOptions {
  readonly store: { readonly judging: Judging };
  readonly maxBodyBytes: number;
}

/** Text in JSON may take several times its bytes; the body itself has the limit of a webhook. */
const ESCAPED = 6;
const BESIDE_BODY_BYTES = 1024 * 1024;

/** `/v1/judge`. */
export const judgeRoutes: FastifyPluginAsyncTypebox<JudgeRoutesOptions> = async (app, { store, maxBodyBytes }) => {
  const bodyLimit = ESCAPED * maxBodyBytes + BESIDE_BODY_BYTES;
  app.post('/judge', { schema: judgeWebhook, bodyLimit }, async ({ body: request }) => {
    const settings = settingsOf(request.settings ?? {});
    if (request.webhook !== undefined) {
      for (const field of ['channel', 'body', 'method', 'suffix'] as const)
        if (request[field] !== undefined) throw notBeside(field);
      return trialJson(await store.judging.judgeAgain(request.webhook, settings));
    }
    const { webhook, document } = await givenWebhook(request, maxBodyBytes);
    return trialJson(await store.judging.judge(webhook, document, settings));
  });
  await Promise.resolve();
};

/** @throws GatewayError GW_BAD_REQUEST, GW_BAD_JSON, GW_TOO_LARGE */
async function givenWebhook({ channel, body: text, method = 'POST', suffix = '' }: JudgeRequest, maxBodyBytes: number) {
  if (channel === undefined || text === undefined) {
    const missing = channel === undefined ? 'channel' : 'body';
    const message = `"${missing}" is missing; expected "channel" and "body", or "webhook" with the id of a stored webhook`;
    throw invalidField(`/${missing}`, message);
  }
  const body = Buffer.from(text);
  if (body.length > maxBodyBytes)
    throw new GatewayError('GW_TOO_LARGE', `The webhook's body is larger than ${maxBodyBytes} bytes (MAX_BODY_BYTES).`);
  const document = await inSlices(decodeInSlices(body, { method, suffix }));
  return { webhook: { channel, method, suffix, contentType: 'application/json', body }, document };
}

function notBeside(field: string): GatewayError {
  return invalidField(`/${field}`, `"${field}" cannot stand beside "webhook": a stored webhook has its own`);
}

/** @throws GatewayError GW_BAD_REQUEST (an event that Whapi does not have) */
function settingsOf({ late_after_seconds: lateAfterSeconds, targets = {} }: SettingsJson): TrialSettings {
  const changes = Object.entries(targets).map(([id, { events, ...others }]): [string, TrialTarget] => [
    id,
    { ...others, ...(events && { events: checkedEventNames(events) }) },
  ]);
  return { lateAfterSeconds, targets: Object.fromEntries(changes) };
}

function trialJson({ channel, event, items, routes }: Trial): TrialJson {
  return {
    channel,
    event,
    items: items.map((item, position) => ({
      position,
      carrier: item.carrier,
      message_id: item.messageId,
      verdict: item.verdict,
      rule: item.rule,
      reason: reasonOf(item.rule),
      held: item.held,
      start: item.span?.start ?? null,
      end: item.span?.end ?? null,
      evidence: evidenceJson(item),
    })),
    routes: routes.map(({ targetId, name, requests, held }) => ({
      target: targetId,
      name,
      requests: requests.map(({ positions, bytes }) => ({ positions: [...positions], bytes })),
      held: [...held],
    })),
  };
}
