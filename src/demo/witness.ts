import type { BotAnswer } from './bot.js';
import { bodyOf } from './caller.js';
import { CHANNEL } from './stage.js';
import type { Stage } from './stage.js';

/** What the demo reads of the gateway's answer to `GET /v1/messages/{channel}/{message_id}`. */
export interface Explanation {
  readonly timeline: readonly { readonly at: string; readonly text: string }[];
  readonly sightings: readonly Sighting[];
  readonly deliveries: readonly { readonly status: string }[];
}

export interface Sighting {
  readonly verdict: string;
  readonly rule: number;
  readonly reason: string;
  readonly held: boolean;
}

/** What the bots have done about a message since it was last asked after. */
export interface Happened {
  readonly answers: readonly BotAnswer[];
  /** How often the bot without the gateway has answered it. */
  readonly bareAnswers: number;
}

/** Watches from outside: through the APIs of the gateway and of Whapi, and by what the bots have answered. */
export interface Witness {
  explanationOf(messageId: string): Promise<Explanation>;
  /** Waits until a message has come in once more, to the gateway and to the other bot, and is dealt with. */
  arrivalOf(messageId: string): Promise<{ sighting: Sighting; happened: Happened }>;
  /** Waits until a message that was released has been sent. */
  releaseOf(messageId: string): Promise<Happened>;
  /** Waits until Whapi has answered the call that asks it to bring a message back. Returns the status. */
  resyncAnswerFor(messageId: string): Promise<number>;
  /** Waits until Whapi has a message. */
  backAtWhapi(messageId: string): Promise<void>;
  /** Waits until nothing is under way any more. */
  quiet(): Promise<void>;
}

interface Seen {
  readonly sightings: number;
  readonly answers: number;
  readonly bareAnswers: number;
}

const LOOK_EVERY_MS = 25;

export function createWitness({ simulator, whapi, gateway, bot, bareBot, effects, signal }: Stage): Witness {
  const lastSeen = new Map<string, Seen>();

  const until = async <T>(poll: () => Promise<T | undefined> | T | undefined): Promise<T> => {
    for (;;) {
      const found = await poll();
      if (found !== undefined) return found;
      await effects.sleep(LOOK_EVERY_MS, signal);
      signal.throwIfAborted();
    }
  };

  /** Undefined where the gateway knows nothing of the message. */
  const explained = async (id: string): Promise<Explanation | undefined> => {
    const { status, body } = await gateway<Explanation>('GET', `/v1/messages/${CHANNEL}/${id}`);
    return status === 200 ? body : undefined;
  };

  const isOf =
    (id: string) =>
    ({ messageId }: BotAnswer): boolean =>
      messageId === id;

  const happened = (id: string, sightings: number): Happened => {
    const before = lastSeen.get(id);
    const answers = bot.answers.filter(isOf(id));
    const bareAnswers = bareBot.answers.filter(isOf(id)).length;
    lastSeen.set(id, { sightings, answers: answers.length, bareAnswers });
    return {
      answers: answers.slice(before?.answers ?? 0),
      bareAnswers: bareAnswers - (before?.bareAnswers ?? 0),
    };
  };

  return {
    explanationOf: async (id) => await until(async () => await explained(id)),
    arrivalOf: async (id) => {
      const before = lastSeen.get(id);
      return await until(async () => {
        const now = await explained(id);
        const sighting = now?.sightings[before?.sightings ?? 0];
        const hasBareBotAnswered = bareBot.answers.filter(isOf(id)).length > (before?.bareAnswers ?? 0);
        if (!now || !sighting || !isSent(now) || !hasBareBotAnswered) return undefined;
        return { sighting, happened: happened(id, now.sightings.length) };
      });
    },
    releaseOf: async (id) =>
      await until(async () => {
        const now = await explained(id);
        const isReleased = now !== undefined && now.deliveries.length > 0 && isSent(now);
        return isReleased ? happened(id, now.sightings.length) : undefined;
      }),
    resyncAnswerFor: async (id) =>
      await until(() => simulator.calls.find((call) => call.resync && call.messageId === id)?.status ?? undefined),
    backAtWhapi: async (id) => {
      await until(async () => ((await whapi('GET', `/messages/${id}`)).status === 200 ? true : undefined));
    },
    quiet: async () => {
      // Twice: the bot's answer to the last webhook makes Whapi send one more, about that answer.
      for (let round = 0; round < 2; round += 1) {
        await simulator.idle();
        await until(async () => {
          const { data } = await bodyOf(gateway<{ data: unknown[] }>('GET', '/v1/deliveries?status=pending&limit=1'));
          return data.length === 0 ? true : undefined;
        });
      }
    },
  };
}

function isSent({ deliveries }: Explanation): boolean {
  return deliveries.every(({ status }) => status !== 'pending');
}
