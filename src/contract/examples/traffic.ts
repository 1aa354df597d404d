import type { Delivery, DeliveryDetail, RetryRequest } from '../deliveries.js';
import type { Evidence, Item, ItemReleaseRequest, Release, ReleaseRequest, Webhook, WebhookSummary } from '../items.js';
import type { JudgeRequest, Trial } from '../judge.js';
import type { ChannelPreviewRequest, Preview, TargetPreviewRequest } from '../previews.js';
import type { Job, ReleaseSurvey, RetrySurvey, StartedJob } from '../jobs.js';
import type { Explanation, Message, MessageReleaseRequest, Sighting } from '../messages.js';
import type { Receipt } from '../webhooks.js';
import { MESSAGE, resyncMessage } from './recovery.js';
import { target } from './registry.js';

/** Examples of webhooks, items and deliveries. */

const RECEIVED = '2026-01-31T12:00:00.000Z';

export const whapiWebhook = {
  messages: [
    {
      id: MESSAGE,
      from_me: false,
      type: 'text',
      chat_id: '491700000000@s.whatsapp.net',
      timestamp: 1_769_860_799,
      text: { body: 'Is my order on its way?' },
      from: '491700000000',
    },
  ],
  event: { type: 'messages', event: 'post' },
  channel_id: 'HULK-7G2AB',
};
export const receipt: Receipt = { items: 1, verdicts: { new: 1 } };

export const delivery: Delivery = {
  id: 'dlv_0000000001f',
  status: 'delivered',
  target: target.id,
  channel: 'support',
  event: 'messages.post',
  verdicts: ['new'],
  attempts: 1,
  created_at: RECEIVED,
  next_attempt_at: null,
  waits_for: null,
  settled_at: '2026-01-31T12:00:00.058Z',
  last_error: null,
  released: false,
  webhook: '0000000001e',
  positions: [0],
  bytes: 214,
  lanes: 1,
  waits_for_delivery: null,
  expires_at: null,
};
const attempt = { started_at: RECEIVED, duration_ms: 57, status: 200, error: null, response: null };
export const deliveryDetail: DeliveryDetail = { ...delivery, log: [attempt], body: JSON.stringify(whapiWebhook) };
export const pendingDelivery: Delivery = {
  ...delivery,
  status: 'pending',
  next_attempt_at: '2026-01-31T14:00:00.000Z',
  settled_at: null,
  released: true,
};
export const retryRequest: RetryRequest = { status: 'dead', target: target.id, since: '2026-01-30T00:00:00Z' };

const evidence: Evidence = {
  resyncs: [resyncMessage.resync],
  registrations: [
    {
      resync: resyncMessage.resync,
      registered_at: resyncMessage.registered_at,
      deliver_unseen: false,
      asked_at: resyncMessage.asked_at,
      window_closes_at: resyncMessage.window_closes_at,
    },
  ],
  first_seen_at: RECEIVED,
  first_webhook: '0000000001e',
  first_item: 'itm_0000000001e_0',
  seeded_at: null,
  same_as: null,
  earlier: null,
  late: null,
  replay: null,
};
export const message: Message = {
  id: 'itm_0000000001e_0',
  channel: 'support',
  event: 'messages.post',
  verdict: 'restored',
  rule: 3,
  reason: 'a resync brought it back',
  held: true,
  seen_at: RECEIVED,
  audit: null,
  message_id: MESSAGE,
  evidence,
};
const sighting: Sighting = { ...message, webhook: '0000000001e', position: 0, carrier: 'messages' };
export const item: Item = sighting;
const receivedWebhook = {
  id: sighting.webhook,
  channel: 'support',
  method: 'POST',
  suffix: '',
  content_type: 'application/json',
  event: 'messages.post',
  received_at: RECEIVED,
  audit: null,
};
export const webhookSummary: WebhookSummary = {
  ...receivedWebhook,
  ...{ bytes: 214, items: 1, held: 1, verdicts: { restored: 1 } },
};
export const webhook: Webhook = {
  ...receivedWebhook,
  body: JSON.stringify(whapiWebhook),
  items: [{ ...sighting, start: 13, end: 215 }],
  deliveries: [],
};
export const judgeRequest: JudgeRequest = {
  channel: 'support',
  body: JSON.stringify(whapiWebhook),
  settings: { targets: { [target.id]: { deliver: ['new', 'late', 'restored', 'event'] } } },
};
export const trial: Trial = {
  channel: 'support',
  event: 'messages.post',
  items: [
    {
      ...{ position: 0, carrier: 'messages', message_id: MESSAGE, verdict: 'restored', rule: 3 },
      ...{ reason: message.reason, held: false, start: 13, end: 215, evidence },
    },
  ],
  routes: [{ target: target.id, name: target.name, requests: [{ positions: [0], bytes: 273 }], held: [] }],
};
export const targetPreviewRequest: TargetPreviewRequest = {
  changes: { deliver: ['new', 'late', 'restored', 'event'], max_age_seconds: 86_400 },
  since: '2026-01-01T00:00:00Z',
};
export const channelPreviewRequest: ChannelPreviewRequest = { changes: { late_after_seconds: 3600 } };
const unchanged = { expired: 0, superseded: 0, answered: 0, withheld: 0, not_subscribed: 0 };
export const preview: Preview = {
  ...{ since: '2026-01-01T00:00:00.000Z', until: RECEIVED, complete: true, webhooks: 1 },
  notes: [],
  targets: [
    {
      ...{ target: target.id, name: target.name },
      ...{ before: { sent: 0, held: 1, ...unchanged }, after: { sent: 1, held: 0, ...unchanged } },
      differences: [
        {
          ...{ before: 'held', after: 'sent', count: 1 },
          items: [
            {
              ...{
                id: message.id,
                webhook: sighting.webhook,
                channel: 'support',
                event: 'messages.post',
                message_id: MESSAGE,
              },
              ...{ received_at: RECEIVED, verdict: 'restored', rule: 3 },
            },
          ],
        },
      ],
    },
  ],
};
export const releaseRequest: ReleaseRequest = { targets: [target.id] };
export const release: Release = { deliveries: ['dlv_0000000001k'] };
export const itemReleaseRequest: ItemReleaseRequest = { channel: 'support', event: 'messages.post', dry_run: true };

export const explanation: Explanation = {
  channel: 'support',
  message_id: MESSAGE,
  ledger: { first_seen_at: RECEIVED, last_seen_at: RECEIVED, rule: 3, seeded_at: null },
  timeline: [
    { at: resyncMessage.registered_at, kind: 'registered', text: `registered by resync ${resyncMessage.resync}` },
    { at: RECEIVED, kind: 'sighting', text: 'received in a messages.post webhook: restored by rule 3, held' },
  ],
  sightings: [sighting],
  resyncs: [resyncMessage],
  audits: [],
  claim: null,
  deliveries: [],
};
export const messageReleaseRequest: MessageReleaseRequest = { resync: resyncMessage.resync, expected_count: 40 };

export const job: Job = {
  id: 'job_0000000002a',
  kind: 'retry',
  status: 'running',
  filter: { ...retryRequest },
  total: 120,
  done: 35,
  skipped: 0,
  rate_per_minute: 4200,
  eta_seconds: 2,
  created_at: '2026-01-31T14:00:00.000Z',
  finished_at: null,
};
export const startedJob: StartedJob = { ...job, done: 0, count: job.total, dry_run: false };
const survey = { dry_run: true, count: 1, by_target: { [target.id]: 1 }, by_verdict: { restored: 1 } } as const;
export const releaseSurvey: ReleaseSurvey = { ...survey, already_sent: {}, sample: [item] };
export const retrySurvey: RetrySurvey = {
  ...{ ...survey, by_verdict: { new: 1 } },
  sample: [{ ...delivery, status: 'dead', attempts: 10, last_error: 'the target answered 500' }],
};
