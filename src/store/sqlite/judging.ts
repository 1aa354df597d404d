import type { Effects } from '../../effects.js';
import { inSlices, nextTurn } from '../../event-loop.js';
import { decodeInSlices } from '../../intake/decode.js';
import type { Document, Item } from '../../intake/decode.js';
import type { GatewayError } from '../../errors.js';
import { nameOf } from '../../intake/event.js';
import { judge } from '../../intake/judge.js';
import type { JudgedItem } from '../../intake/route.js';
import type { IncomingWebhook, WebhookHttpMethod } from '../../model.js';
import { recalled } from '../rules/recalled.js';
import { withTrialSettings } from '../rules/trial-settings.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { Scratch } from './scratch.js';
import { trialRoutes } from './trial-routes.js';
import type { WebhookViews } from './webhook-views.js';
import type { ItemDetail, WebhookDetail } from '../items.js';
import type { Judging, Trial, TrialSettings } from '../judging.js';

export interface JudgingParts {
  readonly registry: RegistryTables;
  readonly webhooks: WebhookViews;
  readonly scratch: Scratch;
  readonly refusalOf: (webhook: IncomingWebhook, document: Document) => GatewayError | null;
}

/** An item with its trial verdict and the evidence for it. */
interface TriedItem extends JudgedItem {
  readonly view: ItemDetail;
}

/** Rows for messages that a registration restores, under their own id or another one. */
const REGISTERED_RULES: ReadonlySet<number> = new Set([3, 18]);
/** Items that one slice judges again. */
const ITEMS_PER_SLICE = 1000;

/** Trials of settings; reads only. */
export class SqliteJudging implements Judging {
  readonly #parts: JudgingParts;
  readonly #now: Effects['now'];

  constructor(parts: JudgingParts, now: Effects['now']) {
    this.#parts = parts;
    this.#now = now;
  }

  async judge(webhook: IncomingWebhook, document: Document, settings: TrialSettings): Promise<Trial> {
    return await read(async () => {
      const { registry, scratch, refusalOf } = this.#parts;
      const refusal = refusalOf(webhook, document);
      if (refusal) throw refusal;
      const stored = registry.requireChannel(webhook.channel);
      const channel = { ...stored, lateAfterSeconds: settings.lateAfterSeconds ?? stored.lateAfterSeconds };
      const judged = await scratch.judge(webhook, document, channel, this.#now());
      const tried = judged.flatMap((each, at) => {
        const item = document.items[at];
        return item ? [{ ...each, item }] : [];
      });
      return await this.#trial(document, webhook.channel, tried, settings);
    });
  }

  async judgeAgain(webhookId: string, settings: TrialSettings): Promise<Trial> {
    return await read(async () => {
      const webhook = await this.#parts.webhooks.webhook(webhookId, this.#now());
      const hint = { method: webhook.method as WebhookHttpMethod, suffix: webhook.suffix };
      const document = await inSlices(decodeInSlices(webhook.body, hint));
      const tried: TriedItem[] = [];
      for (const view of webhook.items) {
        const item = document.items[view.position];
        if (item) tried.push(judgedAgain(item, view, webhook, settings));
        if (tried.length % ITEMS_PER_SLICE === 0) await nextTurn();
      }
      return await this.#trial(document, webhook.channel, tried, settings);
    });
  }

  async #trial(
    document: Document,
    channel: string,
    tried: readonly TriedItem[],
    settings: TrialSettings,
  ): Promise<Trial> {
    const all = [...this.#parts.registry.targets().values()].map(({ target }) => target);
    const targets = withTrialSettings(all, settings);
    const routes = await inSlices(trialRoutes(document, tried, channel, targets));
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
}

function judgedAgain(
  item: Item,
  view: ItemDetail,
  { receivedAt, auditId }: WebhookDetail,
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
