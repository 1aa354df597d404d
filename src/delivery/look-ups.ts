import type { Effects } from '../effects.js';
import type { Target } from '../model.js';
import { factsFor } from '../intake/backlog.js';
import type { Leased, TargetQueue } from './target-queue.js';
import type { ChatFacts, Outbox } from '../store/outbox.js';

export interface LookUpsOptions {
  readonly store: { readonly outbox: Pick<Outbox, 'chatFacts'> };
  readonly effects: Pick<Effects, 'now'>;
  readonly onError: (error: unknown) => void;
  /** The facts of the delivery that comes next are read. */
  readonly onKnown: (queue: TargetQueue) => void;
}

/** Reads what is recorded of the chats of the delivery that starts next, for targets whose policies depend on it. */
export interface LookUps {
  start(queue: TargetQueue, next: Leased, target: Target): void;
  /** Resolves when nothing is being read. */
  idle(): Promise<void>;
}

/** Nothing that would leave a delivery out. */
export const NO_FACTS: ChatFacts = { isAnswered: false, isFollowed: false };

export function createLookUps({ store, effects, onError, onKnown }: LookUpsOptions): LookUps {
  const underWay = new Set<Promise<void>>();

  const factsOf = async ({ delivery }: Leased, target: Target): Promise<ChatFacts> => {
    const wanted = factsFor(delivery, target, effects.now());
    if (wanted === null) return NO_FACTS;
    try {
      return await store.outbox.chatFacts(delivery, wanted);
    } catch (error) {
      onError(error);
      return NO_FACTS; // where in doubt, a message is sent
    }
  };

  const lookUp = async (queue: TargetQueue, next: Leased, target: Target): Promise<void> => {
    queue.know(next, await factsOf(next, target));
    onKnown(queue);
  };

  return {
    start: (queue, next, target) => {
      queue.lookUp(next);
      const work = lookUp(queue, next, target);
      underWay.add(work);
      void work.finally(() => underWay.delete(work));
    },
    idle: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}
