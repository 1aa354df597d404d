import { expiryReason } from '../delivery/policy.js';
import { cutter, route, subscribes } from '../intake/route.js';
import type { JudgedItem, Route } from '../intake/route.js';
import type { PreviewOutcome, Target } from '../model.js';
import type { ReplayedWebhook } from '../store/replays.js';

/** Called once for each item of a webhook, at once or later. */
export type OnOutcome = (position: number, outcome: PreviewOutcome) => void;

/**
 * What becomes of recorded webhooks at one target under one set of its settings. A delivery is decided at the time at which
 * the recorded one ended, at `now` if that is still pending, or as it came if there was none.
 */
export class Side {
  readonly #target: Target;
  readonly #now: number;

  constructor(target: Target, now: number) {
    this.#target = target;
    this.#now = now;
  }

  /** Webhooks have to come in the order in which they were recorded. */
  visit(webhook: ReplayedWebhook, judged: readonly JudgedItem[], onOutcome: OnOutcome): void {
    const { document, channel } = webhook;
    if (!subscribes(this.#target, channel, document.event)) {
      for (const position of judged.keys()) onOutcome(position, 'not_subscribed');
      return;
    }
    const { mostParts } = cutter(document);
    const { routes, held } = route(judged, document.event, channel, [this.#target], mostParts);
    for (const position of held) onOutcome(position, 'held');
    for (const each of routes) {
      const outcome = this.#outcomeOf(each, webhook, judged);
      for (const position of each.positions) onOutcome(position, outcome);
    }
  }

  #outcomeOf({ positions }: Route, webhook: ReplayedWebhook, judged: readonly JudgedItem[]): PreviewOutcome {
    const endsAt = this.#endOf(positions, webhook);
    const expired = expiryReason(newestMessageAt(positions, judged), this.#target.maxAgeSeconds, endsAt);
    return expired === null ? 'sent' : 'expired';
  }

  /** When a delivery with these items would be decided. */
  #endOf([first = 0]: readonly number[], { receivedAt, deliveries }: ReplayedWebhook): number {
    const recorded = deliveries.find(
      ({ targetId, positions }) => targetId === this.#target.id && (positions?.includes(first) ?? true),
    );
    return recorded ? (recorded.settledAt ?? this.#now) : receivedAt;
  }
}

/** Unix seconds of the newest message; null: there is none with a time. */
function newestMessageAt(positions: readonly number[], judged: readonly JudgedItem[]): number | null {
  let newest: number | null = null;
  for (const position of positions) {
    const item = judged[position]?.item;
    if (item?.kind === 'message' && item.timestamp !== null) newest = Math.max(newest ?? -Infinity, item.timestamp);
  }
  return newest;
}
