import type { Effects } from '../../effects.js';
import type { Document } from '../../intake/decode.js';
import type { IncomingWebhook } from '../../model.js';
import type { GroupCommit } from './group-commit.js';
import type { WebhookRecorder } from './recorder.js';
import type { TrafficCounts } from './traffic-counts.js';
import type { Intake, Recorded } from '../intake.js';

export class SqliteIntake implements Intake {
  readonly #commit: GroupCommit;
  readonly #recorder: WebhookRecorder;
  readonly #traffic: TrafficCounts;
  readonly #now: Effects['now'];

  constructor(commit: GroupCommit, recorder: WebhookRecorder, traffic: TrafficCounts, now: Effects['now']) {
    this.#commit = commit;
    this.#recorder = recorder;
    this.#traffic = traffic;
    this.#now = now;
  }

  async record(webhook: IncomingWebhook, document: Document): Promise<Recorded> {
    const { recorded, at } = await this.#commit.run(() => {
      const at = this.#now();
      const recorded = this.#recorder.record(webhook, document, at);
      this.#traffic.saveWhenDue(webhook.channel, at);
      return { recorded, at };
    });
    this.#traffic.countAccepted(webhook.channel, at);
    return recorded;
  }
}
