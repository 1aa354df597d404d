import type { Effects } from '../../effects.js';
import type { GatewayError } from '../../errors.js';
import { inSlices } from '../../event-loop.js';
import { decodeInSlices } from '../../intake/decode.js';
import type { Document } from '../../intake/decode.js';
import type { IncomingWebhook, WebhookHttpMethod } from '../../model.js';
import { judgedAgain, triedItems, trialOf } from '../rules/trials.js';
import type { TriedItem } from '../rules/trials.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { Scratch } from './scratch.js';
import type { WebhookViews } from './webhook-views.js';
import type { Judging, Trial, TrialSettings } from '../judging.js';

export interface JudgingParts {
  readonly registry: RegistryTables;
  readonly webhooks: WebhookViews;
  readonly scratch: Scratch;
  readonly refusalOf: (webhook: IncomingWebhook, document: Document) => GatewayError | null;
}

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
      return await this.#trial(document, webhook.channel, triedItems(document, judged), settings);
    });
  }

  async judgeAgain(webhookId: string, settings: TrialSettings): Promise<Trial> {
    return await read(async () => {
      const webhook = await this.#parts.webhooks.webhook(webhookId, this.#now());
      const hint = { method: webhook.method as WebhookHttpMethod, suffix: webhook.suffix };
      const document = await inSlices(decodeInSlices(webhook.body, hint));
      const tried = await inSlices(judgedAgain(document, webhook, settings));
      return await this.#trial(document, webhook.channel, tried, settings);
    });
  }

  async #trial(
    document: Document,
    channel: string,
    tried: readonly TriedItem[],
    settings: TrialSettings,
  ): Promise<Trial> {
    const targets = [...this.#parts.registry.targets().values()].map(({ target }) => target);
    return await inSlices(trialOf(document, channel, tried, targets, settings));
  }
}
