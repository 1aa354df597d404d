import type { BotAnswer } from './bot.js';
import { bodyOf } from './caller.js';
import { CHANNEL } from './stage.js';
import type { Stage } from './stage.js';

/** The part of the gateway's answer to `GET /v1/messages/{channel}/{message_id}` that the demo reads. */
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

/** The bots' answers to a message since the previous check. */
export interface BotActivity {
  readonly answers: readonly BotAnswer[];
  /** How often the bot that gets Whapi's webhooks directly answered it. */
  readonly directAnswers: number;
}

/** Observes from outside: through the APIs of the gateway and of Whapi, and through the bots' answers. */
export interface Witness {
  explanationOf(messageId: string): Promise<Explanation>;
  /** Waits until the gateway and the direct bot have received a message once more and processed it. */
  arrivalOf(messageId: string): Promise<{ sighting: Sighting; activity: BotActivity }>;
  /** Waits until a released message has been sent. */
  releaseOf(messageId: string): Promise<BotActivity>;
  /** Waits until Whapi has answered the resync call for a message. Returns the status. */
  resyncAnswerFor(messageId: string): Promise<number>;
  /** Waits until Whapi has a message. */
  cachedAtWhapi(messageId: string): Promise<void>;
  /** Waits until no webhook, resync or delivery is pending. */
  idle(): Promise<void>;
}

interface Seen {
  readonly sightings: number;
  readonly answers: number;
  readonly directAnswers: number;
}

const POLL_EVERY_MS = 25;

export function createWitness({ simulator, whapi, gateway, bot, directBot, effects, signal }: Stage): Witness {
  const lastSeen = new Map<string, Seen>();

  const until = async <T>(poll: () => Promise<T | undefined> | T | undefined): Promise<T> => {
    for (;;) {
      const found = await poll();
      if (found !== undefined) return found;
      await effects.sleep(POLL_EVERY_MS, signal);
      signal.throwIfAborted();
    }
  };

  /** Undefined if the gateway does not know the message. */
  const explained = async (id: string): Promise<Explanation | undefined> => {
    const { status, body } = await gateway<Explanation>('GET', `/v1/messages/${CHANNEL}/${id}`);
    return status === 200 ? body : undefined;
  };

  const isOf =
    (id: string) =>
    ({ messageId }: BotAnswer): boolean =>
      messageId === id;

  const activity = (id: string, sightings: number): BotActivity => {
    const before = lastSeen.get(id);
    const answers = bot.answers.filter(isOf(id));
    const directAnswers = directBot.answers.filter(isOf(id)).length;
    lastSeen.set(id, { sightings, answers: answers.length, directAnswers });
    return {
      answers: answers.slice(before?.answers ?? 0),
      directAnswers: directAnswers - (before?.directAnswers ?? 0),
    };
  };

  return {
    explanationOf: async (id) => await until(async () => await explained(id)),
    arrivalOf: async (id) => {
      const before = lastSeen.get(id);
      return await until(async () => {
        const now = await explained(id);
        const sighting = now?.sightings[before?.sightings ?? 0];
        const hasDirectBotAnswered = directBot.answers.filter(isOf(id)).length > (before?.directAnswers ?? 0);
        if (!now || !sighting || !isSent(now) || !hasDirectBotAnswered) return undefined;
        return { sighting, activity: activity(id, now.sightings.length) };
      });
    },
    releaseOf: async (id) =>
      await until(async () => {
        const now = await explained(id);
        const isReleased = now !== undefined && now.deliveries.length > 0 && isSent(now);
        return isReleased ? activity(id, now.sightings.length) : undefined;
      }),
    resyncAnswerFor: async (id) =>
      await until(() => simulator.calls.find((call) => call.resync && call.messageId === id)?.status ?? undefined),
    cachedAtWhapi: async (id) => {
      await until(async () => ((await whapi('GET', `/messages/${id}`)).status === 200 ? true : undefined));
    },
    idle: async () => {
      // Twice: the bot's answer to the last webhook makes Whapi send another one, about that answer.
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
