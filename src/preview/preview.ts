import type { Effects } from '../effects.js';
import { nextTurn } from '../event-loop.js';
import { nameOf } from '../intake/event.js';
import type { JudgedItem } from '../intake/route.js';
import type { PreviewOutcome, Target } from '../model.js';
import type { PastWebhook, History } from '../store/history.js';
import { asRecorded, JudgeAgain } from './judge-again.js';
import type { ChannelChange, Unsure } from './judge-again.js';
import { OutcomeTally } from './outcomes.js';
import type { ChangedItem, Difference, OutcomeCounts } from './outcomes.js';
import { Side } from './side.js';

/** Other settings, to be tried on recorded traffic. */
export interface PreviewRequest {
  readonly since: number;
  /** Left out: every channel. */
  readonly channel?: string | undefined;
  /** Each target with the stored settings and with the changed ones. */
  readonly targets: readonly TargetChange[];
  /** Changed settings of `channel`; left out: items keep their verdicts. */
  readonly change?: ChannelChange | undefined;
}

export interface TargetChange {
  readonly before: Target;
  readonly after: Target;
}

export interface Preview {
  /** Start of the webhooks that it read: later than requested if `isComplete` is false. */
  readonly since: number;
  readonly until: number;
  readonly isComplete: boolean;
  readonly webhooks: number;
  readonly unsure: Unsure;
  readonly targets: readonly TargetPreview[];
}

/** What becomes of the items that a target takes under either settings. */
export interface TargetPreview {
  readonly target: Target;
  readonly before: OutcomeCounts;
  readonly after: OutcomeCounts;
  readonly differences: readonly Difference[];
}

export interface Previewer {
  /** Runs recorded traffic through judge, routing and delivery policies under both settings. Writes nothing. */
  preview(request: PreviewRequest): Promise<Preview>;
}

/** Webhooks of one preview: about ten seconds of reading beside other work. */
const MOST_WEBHOOKS = 50_000;
/** Items times targets between two turns of the event loop: some milliseconds. */
const VISITED_PER_SLICE = 2000;

interface PreviewerOptions {
  readonly store: { readonly history: History };
  readonly effects: Pick<Effects, 'now'>;
  readonly mostWebhooks?: number;
}

/** One preview runs at a time; others wait. */
export function createPreviewer({ store, effects, mostWebhooks = MOST_WEBHOOKS }: PreviewerOptions): Previewer {
  let last: Promise<unknown> = Promise.resolve();

  const run = async ({ since, channel, targets, change }: PreviewRequest): Promise<Preview> => {
    const now = effects.now();
    const reading = await store.history.read({ since, most: mostWebhooks, channel });
    const judgeAgain = change ? new JudgeAgain(change, reading.since) : null;
    const comparison = new Comparison(targets, judgeAgain, now);
    let webhooks = 0;
    for (let page = await reading.next(); page !== null; page = await reading.next()) {
      for (const webhook of page) await comparison.visit(webhook);
      webhooks += page.length;
    }
    return {
      since: reading.since,
      until: now,
      isComplete: reading.isComplete,
      webhooks,
      unsure: judgeAgain?.unsure ?? { replayed: 0, late: 0 },
      targets: comparison.results(),
    };
  };

  return {
    preview: async (request) => {
      const work = last.then(async () => await run(request));
      last = work.catch(() => undefined);
      return await work;
    },
  };
}

/** Both sides of each target. */
class Comparison {
  readonly #judgeAgain: JudgeAgain | null;
  readonly #targets;
  #visited = 0;

  constructor(targets: readonly TargetChange[], judgeAgain: JudgeAgain | null, now: number) {
    this.#judgeAgain = judgeAgain;
    this.#targets = targets.map(({ before, after }) => ({
      target: before,
      ...{ before: new Side(before, now), after: new Side(after, now), tally: new OutcomeTally() },
    }));
  }

  async visit(webhook: PastWebhook): Promise<void> {
    const recorded = asRecorded(webhook);
    const again = this.#judgeAgain?.judged(webhook, recorded) ?? recorded;
    for (const { before, after, tally } of this.#targets) {
      const outcomes = new ItemOutcomes(webhook, again, tally);
      before.visit(webhook, recorded, outcomes.before);
      after.visit(webhook, again, outcomes.after);
      this.#visited += recorded.length;
      if (this.#visited < VISITED_PER_SLICE) continue;
      this.#visited = 0;
      await nextTurn();
    }
  }

  /** After the last webhook. */
  results(): TargetPreview[] {
    for (const { before, after } of this.#targets) {
      before.finish();
      after.finish();
    }
    return this.#targets.map(({ target, tally }) => ({
      ...{ target, before: tally.before, after: tally.after, differences: tally.differences },
    }));
  }
}

/** Tallies each item of a webhook once both of its outcomes are known. */
class ItemOutcomes {
  readonly #webhook: PastWebhook;
  readonly #judged: readonly JudgedItem[];
  readonly #tally: OutcomeTally;
  readonly #known = new Map<number, { readonly side: 'before' | 'after'; readonly outcome: PreviewOutcome }>();

  constructor(webhook: PastWebhook, judged: readonly JudgedItem[], tally: OutcomeTally) {
    this.#webhook = webhook;
    this.#judged = judged;
    this.#tally = tally;
  }

  readonly before = (position: number, outcome: PreviewOutcome): void => this.#note(position, 'before', outcome);
  readonly after = (position: number, outcome: PreviewOutcome): void => this.#note(position, 'after', outcome);

  #note(position: number, side: 'before' | 'after', outcome: PreviewOutcome): void {
    const known = this.#known.get(position);
    if (!known) {
      this.#known.set(position, { side, outcome });
      return;
    }
    this.#known.delete(position);
    const [before, after] = side === 'after' ? [known.outcome, outcome] : [outcome, known.outcome];
    this.#tally.add(before, after, () => this.#itemAt(position));
  }

  #itemAt(position: number): ChangedItem {
    const { id: webhook, channel, document, receivedAt, items } = this.#webhook;
    const { verdict = 'event', rule = 0 } = this.#judged[position] ?? {};
    return {
      ...{ id: items[position]?.id ?? '', webhook, channel, event: nameOf(document.event) },
      ...{ messageId: document.items[position]?.messageId ?? null, receivedAt, verdict, rule },
    };
  }
}
