import { NO_CHAT_FACTS } from '../intake/backlog.js';
import type { Leased, TargetQueue } from './target-queue.js';
import type { ChatFacts, Outbox, WantedFacts } from '../store/outbox.js';

export interface LookUpsOptions {
  readonly store: { readonly outbox: Pick<Outbox, 'chatFacts'> };
  readonly onError: (error: unknown) => void;
  /** Called when the facts about the next delivery of a queue are known. */
  readonly onKnown: (queue: TargetQueue) => void;
}

/** Reads facts about the chats of the delivery that starts next, for targets whose policies depend on them. */
export interface LookUps {
  start(queue: TargetQueue, next: Leased, wanted: WantedFacts): void;
  /** Resolves when nothing is being read. */
  idle(): Promise<void>;
}

export function createLookUps({ store, onError, onKnown }: LookUpsOptions): LookUps {
  const underWay = new Set<Promise<void>>();

  const factsOf = async ({ delivery }: Leased, wanted: WantedFacts): Promise<ChatFacts> => {
    try {
      return await store.outbox.chatFacts(delivery, wanted);
    } catch (error) {
      onError(error);
      return NO_CHAT_FACTS;
    }
  };

  const lookUp = async (queue: TargetQueue, next: Leased, wanted: WantedFacts): Promise<void> => {
    queue.know(next, await factsOf(next, wanted));
    onKnown(queue);
  };

  return {
    start: (queue, next, wanted) => {
      queue.lookUp(next);
      const work = lookUp(queue, next, wanted);
      underWay.add(work);
      void work.finally(() => underWay.delete(work));
    },
    idle: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}
