import type { Effects } from '../../effects.js';
import { GatewayError } from '../../errors.js';
import type { Document } from '../../intake/decode.js';
import type { IncomingWebhook } from '../../model.js';
import type { GroupCommit } from './group-commit.js';
import type { LargeWebhooks } from './large-webhooks.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import { recordingRegistry } from './recorder.js';
import { refusalOf } from '../rules/refusal.js';
import type { WebhookRecorder } from '../rules/recorder.js';
import type { RecordingRegistry } from '../rules/recording.js';
import type { TrafficCounts } from './traffic-counts.js';
import type { Intake, Recorded } from '../intake.js';

export interface IntakeParts {
  readonly commit: GroupCommit;
  readonly registry: RegistryTables;
  readonly recorder: WebhookRecorder;
  readonly large: LargeWebhooks;
  readonly traffic: TrafficCounts;
}

interface Timed {
  readonly recorded: Recorded;
  readonly at: number;
}

export class SqliteIntake implements Intake {
  readonly #commit: GroupCommit;
  readonly #registry: RecordingRegistry;
  readonly #recorder: WebhookRecorder;
  readonly #large: LargeWebhooks;
  readonly #traffic: TrafficCounts;
  readonly #now: Effects['now'];

  constructor({ commit, registry, recorder, large, traffic }: IntakeParts, now: Effects['now']) {
    this.#commit = commit;
    this.#registry = recordingRegistry(registry);
    this.#recorder = recorder;
    this.#large = large;
    this.#traffic = traffic;
    this.#now = now;
  }

  /** Refuses before the work enters a transaction what can be refused by then; a channel may still change meanwhile. */
  async record(webhook: IncomingWebhook, document: Document): Promise<Recorded> {
    const isLarge = await read(() => {
      throwIfRefused(refusalOf(this.#registry, webhook, document));
      return this.#large.isLarge(webhook, document);
    });
    const { recorded, at } = await (isLarge ? this.#recordAlone(webhook, document) : this.#record(webhook, document));
    this.#traffic.countAccepted(webhook.channel, at);
    return recorded;
  }

  async #record(webhook: IncomingWebhook, document: Document): Promise<Timed> {
    const result = await this.#commit.runWithoutSavepoint(() => {
      const refusal = refusalOf(this.#registry, webhook, document);
      if (refusal) return refusal;
      const at = this.#now();
      const recorded = this.#recorder.record(webhook, document, at);
      this.#traffic.saveWhenDue(webhook.channel, at);
      return { recorded, at };
    });
    if (result instanceof GatewayError) throw result;
    return result;
  }

  async #recordAlone(webhook: IncomingWebhook, document: Document): Promise<Timed> {
    return await this.#commit.runAlone(async () => {
      const at = this.#now();
      return { recorded: await this.#large.record(webhook, document, at), at };
    });
  }
}

function throwIfRefused(refusal: GatewayError | null): void {
  if (refusal) throw refusal;
}
