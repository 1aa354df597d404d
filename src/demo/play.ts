import { newMessageId } from '../simulator/channel.js';
import type { ChatMessage } from './bot.js';
import { bodyOf } from './caller.js';
import type { Narrator } from './narrator.js';
import type { Outcome, Row } from './report.js';
import { CHANNEL } from './stage.js';
import type { Stage } from './stage.js';
import { createWitness } from './witness.js';
import type { BotActivity, Sighting, Witness } from './witness.js';

/** The helpers that the acts of the story share. */
export interface Play {
  readonly stage: Stage;
  readonly narrator: Narrator;
  readonly witness: Witness;
  /** The messages so far, for the summary. */
  readonly rows: readonly Row[];
  /** Creates a text message to the channel, sent `agoSeconds` ago. It is not at Whapi yet. */
  message(from: Sender, text: string, agoSeconds?: number): ChatMessage;
  /** Waits until the gateway and the bots have processed an incoming message, tells the result and adds a row. */
  expectArrival(act: number, what: string, message: ChatMessage, expected: Outcome): Promise<void>;
  /** The same for a held message that the owner releases. */
  expectRelease(act: number, what: string, message: ChatMessage): Promise<void>;
  /** Starts a resync of a message at the gateway and waits for Whapi's first answer. Returns the resync's id. */
  resync(message: ChatMessage): Promise<string>;
}

export type Sender = keyof typeof PHONES;

const PHONES = {
  Alice: '12025550141',
  Bob: '12025550142',
  Carol: '12025550143',
  Dan: '12025550144',
  Eve: '12025550145',
  Frank: '12025550146',
};

const HOUR_SECONDS = 3600;

export function createPlay(stage: Stage, narrator: Narrator): Play {
  const witness = createWitness(stage);
  const rows: Row[] = [];
  const { fact } = narrator;

  const ageOf = ({ timestamp }: ChatMessage): string => {
    const hours = Math.floor((stage.effects.now() / 1000 - timestamp) / HOUR_SECONDS);
    if (hours === 0) return 'just now';
    return hours < 24 ? `sent ${hours} hours ago` : `sent ${Math.floor(hours / 24)} days ago`;
  };

  const tellBot = async ({ answers }: BotActivity): Promise<void> => {
    if (answers.length === 0) await fact('bot', 'gets nothing and stays silent');
    for (const { text } of answers) await fact('bot', `answers: "${text}"`, 'green');
  };

  return {
    stage,
    narrator,
    witness,
    rows,
    message: (from, text, agoSeconds = 0) => ({
      id: newMessageId(stage.effects.randomBytes(15)),
      from_me: false,
      type: 'text',
      chat_id: `${PHONES[from]}@s.whatsapp.net`,
      timestamp: Math.floor(stage.effects.now() / 1000) - agoSeconds,
      source: 'mobile',
      text: { body: text },
      from: PHONES[from],
      from_name: from,
    }),
    expectArrival: async (act, what, message, expected) => {
      const { sighting, activity } = await witness.arrivalOf(message.id);
      await fact('came in', `${message.from_name}, ${ageOf(message)}: "${message.text.body}"`, 'bold');
      await fact('gateway', verdictOf(sighting), sighting.held ? 'yellow' : 'green');
      await tellBot(activity);
      const { verdict, rule } = sighting;
      rows.push({ act, what, expected, verdict, rule, ...counted(activity) });
    },
    expectRelease: async (act, what, message) => {
      const activity = await witness.releaseOf(message.id);
      await tellBot(activity);
      rows.push({ act, what, expected: 'released', verdict: 'released', rule: null, ...counted(activity) });
    },
    resync: async ({ id }) => {
      const request = { channel: CHANNEL, message_ids: [id] };
      await fact('owner', `POST /v1/resyncs ${JSON.stringify(request)}`);
      const resync = await bodyOf(stage.gateway<{ id: string }>('POST', '/v1/resyncs', request));
      await fact('gateway', 'registers the id, and then asks Whapi:');
      await fact('gateway', `GET /messages/${id}?resync=true`);
      const status = await witness.resyncAnswerFor(id);
      await fact('whapi', `${status}, which means "not yet": Whapi has asked the phone, and the message comes later`);
      return resync.id;
    },
  };
}

function verdictOf({ verdict, rule, reason, held }: Sighting): string {
  return `${verdict}, by rule ${rule} (${reason}): ${held ? 'held' : 'sent to the bot'}`;
}

function counted({ answers, directAnswers }: BotActivity): Pick<Row, 'answers' | 'directAnswers'> {
  return { answers: answers.length, directAnswers };
}
