import * as live from './examples/live.js';
import * as recovery from './examples/recovery.js';
import * as registry from './examples/registry.js';
import * as traffic from './examples/traffic.js';

const pageOf = (entry: unknown) => ({ data: [entry], next_cursor: null });

/** Schemas with one example, which has the name of its schema. */
const SINGLE: Readonly<Record<string, unknown>> = {
  NewChannel: registry.newChannel,
  ChannelChange: registry.channelChange,
  Channel: registry.channel,
  ChannelPage: pageOf(registry.channel),
  CreatedChannel: registry.createdChannel,
  NewSeeding: registry.newSeeding,
  ConnectRequest: registry.connectRequest,
  Connection: registry.connection,
  DisconnectRequest: registry.disconnectRequest,
  Disconnection: registry.disconnection,
  NewTarget: registry.newTarget,
  TargetChange: registry.targetChange,
  Target: registry.target,
  TargetPage: pageOf(registry.target),
  ChangedTarget: registry.changedTarget,
  CreatedTarget: registry.createdTarget,
  TargetTest: registry.targetTest,
  Rotation: registry.rotation,
  RotatedSecret: registry.rotatedSecret,
  NewResync: recovery.newResync,
  Resync: recovery.resync,
  ResyncPage: pageOf(recovery.resync),
  ResyncMessagePage: pageOf(recovery.resyncMessage),
  ResyncReport: recovery.resyncReport,
  NewAudit: recovery.newAudit,
  Audit: recovery.audit,
  AuditPage: pageOf(recovery.audit),
  AuditMessagePage: pageOf(recovery.auditMessage),
  AuditReleaseRequest: recovery.auditReleaseRequest,
  AuditRelease: recovery.auditRelease,
  DoctorReport: recovery.doctorReport,
  Login: { token: 'the-admin-token-of-this-gateway' },
  Session: { expires_at: '2026-02-01T00:00:00.000Z' },
  Stats: live.stats,
  Health: { status: 'ok' },
  Readiness: { status: 'ready' },
  WhapiWebhook: traffic.whapiWebhook,
  Receipt: traffic.receipt,
  Delivery: traffic.pendingDelivery,
  DeliveryPage: pageOf(traffic.delivery),
  DeliveryDetail: traffic.deliveryDetail,
  RetryRequest: traffic.retryRequest,
  ItemPage: pageOf(traffic.item),
  Webhook: traffic.webhook,
  WebhookSummaryPage: pageOf(traffic.webhookSummary),
  ReleaseRequest: traffic.releaseRequest,
  Release: traffic.release,
  ItemReleaseRequest: traffic.itemReleaseRequest,
  MessagePage: pageOf(traffic.message),
  Explanation: traffic.explanation,
  MessageReleaseRequest: traffic.messageReleaseRequest,
  Job: traffic.job,
  JobPage: pageOf(traffic.job),
};

/** Examples of bodies: by the name of their schema, then by a name of their own. Each is true to its schema (tested). */
export const EXAMPLES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  ...Object.fromEntries(Object.entries(SINGLE).map(([name, example]) => [name, { [name]: example }])),
  RetryResult: { RetrySurvey: traffic.retrySurvey, StartedJob: traffic.startedJob },
  ReleaseResult: { ReleaseSurvey: traffic.releaseSurvey, StartedJob: traffic.startedJob },
};
