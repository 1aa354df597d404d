import { inSlices } from '../../event-loop.js';
import { decodeInSlices } from '../../intake/decode.js';
import type { Document } from '../../intake/decode.js';
import type { IncomingWebhook, WebhookHttpMethod } from '../../model.js';
import { refusalOf } from '../rules/refusal.js';
import { judgedAgain, triedItems, trialOf } from '../rules/trials.js';
import type { TriedItem } from '../rules/trials.js';
import type { Base } from './base.js';
import type { Trials } from './trials.js';
import type { WebhookViews } from './webhook-views.js';
import type { Judging, Trial, TrialSettings } from '../judging.js';

export interface JudgingParts {
  readonly webhooks: WebhookViews;
  readonly trials: Trials;
}

/** Trials of settings; reads only. */
export class PostgresJudging implements Judging {
  readonly #base: Base;
  readonly #parts: JudgingParts;

  constructor(base: Base, parts: JudgingParts) {
    this.#base = base;
    this.#parts = parts;
  }

  async judge(webhook: IncomingWebhook, document: Document, settings: TrialSettings): Promise<Trial> {
    const registry = await this.#base.registry.current();
    const refusal = refusalOf({ channel: (name) => registry.channels.get(name) }, webhook, document);
    if (refusal) throw refusal;
    const stored = registry.requireChannel(webhook.channel);
    const channel = { ...stored, lateAfterSeconds: settings.lateAfterSeconds ?? stored.lateAfterSeconds };
    const judged = await this.#parts.trials.judge(webhook, document, channel);
    return await this.#trial(document, webhook.channel, triedItems(document, judged), settings);
  }

  async judgeAgain(webhookId: string, settings: TrialSettings): Promise<Trial> {
    const webhook = await this.#parts.webhooks.webhook(webhookId);
    const hint = { method: webhook.method as WebhookHttpMethod, suffix: webhook.suffix };
    const document = await inSlices(decodeInSlices(webhook.body, hint));
    const tried = await inSlices(judgedAgain(document, webhook, settings));
    return await this.#trial(document, webhook.channel, tried, settings);
  }

  async #trial(
    document: Document,
    channel: string,
    tried: readonly TriedItem[],
    settings: TrialSettings,
  ): Promise<Trial> {
    const { targets } = await this.#base.registry.current();
    const all = [...targets.values()].map(({ target }) => target);
    return await inSlices(trialOf(document, channel, tried, all, settings));
  }
}
