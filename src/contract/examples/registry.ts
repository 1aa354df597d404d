import type { Channel, ChannelChange, CreatedChannel, NewChannel, NewSeeding } from '../channels.js';
import type { Connection, ConnectRequest, Disconnection, DisconnectRequest, WhapiSettings } from '../connect.js';
import type {
  ChangedTarget,
  CreatedTarget,
  NewTarget,
  RotatedSecret,
  Rotation,
  Target,
  TargetChange,
  TargetTest,
} from '../targets.js';

/** Examples of channels and targets, one coherent story with the others. */

export const newChannel: NewChannel = { name: 'support', whapi_token: 'aBcDeFgHiJkLmNoPqRsTuVwXyZ012345' };
export const channelChange: ChannelChange = { late_after_seconds: 600, auto_resync: true };
export const channel: Channel = {
  name: 'support',
  channel_id: 'HULK-7G2AB',
  webhook_url: 'https://gateway.example.com/webhooks/support',
  whapi_base_url: 'https://gate.whapi.cloud',
  late_after_seconds: 900,
  resync_spacing_ms: null,
  daily_call_budget: null,
  auto_resync: false,
  on_replay: 'deliver',
  replay_after_seconds: 432_000,
  replay_messages: 20,
  last_webhook_at: '2026-01-31T12:00:00.000Z',
  refused: { last_at: '2026-01-30T08:15:00.000Z', last_code: 'GW_UNAUTHORIZED', today: 0 },
  last_replay: null,
  created_at: '2026-01-01T09:00:00.000Z',
};
export const createdChannel: CreatedChannel = {
  ...channel,
  channel_id: null,
  last_webhook_at: null,
  refused: { last_at: null, last_code: null, today: 0 },
  webhook_secret: 'k3V8m1Zr9QpLx7TwYd5sNb2Hf6Jg4Ca0',
};
export const newSeeding: NewSeeding = { since: '2026-01-01T00:00:00Z' };

const before: WhapiSettings = { callback_persist: false, webhooks: [] };
const after: WhapiSettings = {
  callback_persist: true,
  webhooks: [
    {
      url: 'https://gateway.example.com/webhooks/support',
      mode: 'body',
      events: ['messages.post', 'statuses.post'],
      headers: { authorization: '***' },
      webhook_max_age_seconds: null,
    },
  ],
};
const changes = ['adds the webhook https://gateway.example.com/webhooks/support', 'sets callback_persist to true'];
export const connectRequest: ConnectRequest = { public_url: 'https://gateway.example.com' };
export const connection: Connection = {
  ...{ channel: 'support', dry_run: false, changed: true, changes, before, after },
  webhook_url: 'https://gateway.example.com/webhooks/support',
  warnings: [],
  verified: true,
  verification: 'A test webhook arrived.',
};
export const disconnectRequest: DisconnectRequest = { dry_run: true };
export const disconnection: Disconnection = {
  channel: 'support',
  dry_run: true,
  changed: true,
  changes: ['removes the webhook https://gateway.example.com/webhooks/support'],
  before: after,
  after: before,
};

export const newTarget: NewTarget = {
  name: 'order bot',
  url: 'https://bot.example.com/hook',
  channels: ['support'],
  events: ['messages.post'],
};
export const targetChange: TargetChange = { timeout_ms: 20_000, rate_per_second: 5 };
export const target: Target = {
  id: 'tgt_Yk3v9QmZr1LxPw7TdBsN',
  name: 'order bot',
  url: 'https://bot.example.com/hook',
  channels: ['support'],
  events: ['messages.post'],
  deliver: ['new', 'late', 'event'],
  mode: 'as_received',
  split: 'none',
  timeout_ms: 30_000,
  max_attempts: 10,
  retry_delays_seconds: null,
  max_age_seconds: null,
  concurrency: 16,
  rate_per_second: null,
  backlog_policy: 'all',
  backlog_after_seconds: 600,
  backlog_rate_per_minute: null,
  skip_answered: false,
  enabled: true,
  headers: { 'x-tenant': 'shop', authorization: '***' },
  disabled_reason: null,
  breaker: { state: 'closed', consecutive_failures: 0, opened_at: null, next_probe_at: null, concurrency: null },
  pending: 0,
  oldest_pending_at: null,
  dead_last_day: 0,
  unhandled_last_day: 0,
  previous_secrets_expire_at: [],
  created_at: '2026-01-01T09:05:00.000Z',
};
export const changedTarget: ChangedTarget = { ...target, timeout_ms: 20_000, rate_per_second: 5, warnings: [] };
export const createdTarget: CreatedTarget = {
  ...target,
  warnings: [],
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
};
export const targetTest: TargetTest = {
  delivered: true,
  event: 'messages.post',
  method: 'POST',
  path: '/hook',
  started_at: '2026-01-31T12:00:00.000Z',
  duration_ms: 42,
  status: 200,
  error: null,
  response: null,
  fix: null,
};
export const rotation: Rotation = { grace_seconds: 3600 };
export const rotatedSecret: RotatedSecret = {
  id: target.id,
  secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
  previous_secret_expires_at: '2026-01-31T13:00:00.000Z',
};
