import type { Stats } from '../stats.js';
import { target } from './registry.js';

const latency = { p50: 21, p95: 84, p99: 190 };
const counts = [3, 1];

export const stats: Stats = {
  from: '2026-01-31T11:00:00.000Z',
  to: '2026-01-31T11:00:14.000Z',
  minutes: 60,
  channels: [
    {
      channel: 'support',
      last_webhook_at: '2026-01-31T11:00:12.000Z',
      webhooks: 4,
      refused: 0,
      items: { new: 3, late: 0, restored: 1, duplicate: 0, event: 0 },
      held: 1,
    },
  ],
  targets: [
    {
      ...{ target: target.id, name: target.name, enabled: true, pending: 0, oldest_pending_at: null },
      breaker: target.breaker,
      ...{ attempts: 4, failed_attempts: 1, delivered: 3, dead: 0, expired: 0 },
      ...{ superseded: 0, answered: 0, withheld: 0 },
      latency_ms: latency,
      lag_ms: { p50: 23, p95: 5100, p99: 5100 },
    },
  ],
  replicas: [],
  series: {
    from: '2026-01-31T11:00:00.000Z',
    step_seconds: 10,
    ...{ webhooks: counts, refused: [0, 0], new: [2, 1], late: [0, 0], restored: [1, 0], duplicate: [0, 0] },
    ...{ event: [0, 0], held: [1, 0], attempts: counts, failed_attempts: [1, 0] },
    ...{ delivered: [2, 1], dead: [0, 0], expired: [0, 0] },
    ...{ superseded: [0, 0], answered: [0, 0], withheld: [0, 0] },
    latency_ms: { p50: [20, 22], p95: [80, 84], p99: [190, null] },
  },
};
