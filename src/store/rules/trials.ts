import type { Document, Item } from '../../intake/decode.js';
import { nameOf } from '../../intake/event.js';
import { judge, RULE } from '../../intake/judge.js';
import type { JudgedItem } from '../../intake/route.js';
import type { Judgement, Sealed, Target } from '../../model.js';
import type { Sliced } from '../../slices.js';
import type { ItemDetail, WebhookDetail } from '../items.js';
import type { Trial, TrialSettings } from '../judging.js';
import { recalled } from './recalled.js';
import { trialRoutes } from './trial-routes.js';
import { withTrialSettings } from './trial-settings.js';

/** What a trial found of an item, with the evidence for it. */
export interface JudgedView extends Judgement {
  readonly view: ItemDetail;
  /** Restored, and bots receive it as well: see intake/route.ts. */
  readonly recover: boolean;
}

export interface TriedItem extends JudgedItem {
  readonly view: ItemDetail;
}

/** Rows for messages that a registration restores, under their own id or another one. */
const REGISTERED_RULES: ReadonlySet<number> = new Set([RULE.registered, RULE.anotherId]);
/** Items that one slice judges again. */
const ITEMS_PER_SLICE = 1000;
export const NOTHING_SEALED = '' as Sealed;

/** A target that wants new messages only: what it gets besides those is a restored message that no bot has seen. */
export const PROBE: Target = {
  ...{ id: 'probe', name: 'probe', url: 'http://localhost/', channels: ['*'], events: ['*'], deliver: ['new'] },
  ...{ mode: 'as_received', split: 'none', headers: NOTHING_SEALED, secret: NOTHING_SEALED, previousSecrets: [] },
  ...{
    timeoutMs: 1,
    maxAttempts: 1,
    retryDelaysSeconds: null,
    maxAgeSeconds: null,
    concurrency: 1,
    ratePerSecond: null,
  },
  ...{ backlogPolicy: 'all', backlogAfterSeconds: 1, backlogRatePerMinute: null, skipAnswered: false },
  ...{ enabled: true, disabledReason: null, createdAt: 0 },
};

/** A repetition within the webhook of a trial has no earlier item that is stored. */
export function withoutItself(view: ItemDetail, now: number): ItemDetail {
  return view.earlier?.recordedAt === now ? { ...view, earlier: null } : view;
}

/** The items of a document with what a trial found of them. */
export function triedItems({ items }: Document, judged: readonly JudgedView[]): TriedItem[] {
  return judged.flatMap((each, at) => {
    const item = items[at];
    return item ? [{ ...each, item }] : [];
  });
}

/** Judges a stored webhook again as at its arrival, under other settings. */
export function* judgedAgain(
  { items }: Document,
  webhook: Pick<WebhookDetail, 'items' | 'receivedAt' | 'auditId'>,
  settings: TrialSettings,
): Sliced<TriedItem[]> {
  const tried: TriedItem[] = [];
  for (const view of webhook.items) {
    const item = items[view.position];
    if (item) tried.push(itemAgain(item, view, webhook, settings));
    if (tried.length % ITEMS_PER_SLICE === 0) yield;
  }
  return tried;
}

function itemAgain(
  item: Item,
  view: ItemDetail,
  { receivedAt, auditId }: Pick<WebhookDetail, 'receivedAt' | 'auditId'>,
  { lateAfterSeconds }: TrialSettings,
): TriedItem {
  const judgement = judge(item, recalled(view.rule, view.late), {
    receivedAt,
    lateAfterSeconds: lateAfterSeconds ?? view.late?.lateAfterSeconds ?? 0,
    recovered: auditId !== null,
  });
  const isFirst = view.firstItemId === view.id;
  const recover =
    REGISTERED_RULES.has(judgement.rule) && isFirst && view.registrations.some(({ deliverUnseen }) => deliverUnseen);
  return { item, view, recover, ...judgement };
}

/**
 * What targets would get.
 * @param targets as they are stored
 * @throws GatewayError GW_NOT_FOUND (the settings name another target)
 */
export function* trialOf(
  document: Document,
  channel: string,
  tried: readonly TriedItem[],
  targets: readonly Target[],
  settings: TrialSettings,
): Sliced<Trial> {
  const routes = yield* trialRoutes(document, tried, channel, withTrialSettings(targets, settings));
  const held = new Set<number>();
  for (const route of routes) for (const position of route.held) held.add(position);
  return {
    channel,
    event: nameOf(document.event),
    items: tried.map(({ item, view, verdict, rule }, position) => ({
      ...view,
      ...{ carrier: item.carrier, messageId: item.messageId, span: item.span, verdict, rule },
      held: held.has(position),
    })),
    routes,
  };
}
