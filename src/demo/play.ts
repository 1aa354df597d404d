import { newMessageId } from '../simulator/channel.js';
import type { ChatMessage } from './bot.js';
import { bodyOf } from './caller.js';
import type { Narrator } from './narrator.js';
import type { Outcome, Row } from './report.js';
import { CHANNEL } from './stage.js';
import type { Stage } from './stage.js';
import { createWitness } from './witness.js';
import type { Happened, Sighting, Witness } from './witness.js';

/** What the acts of the story are played with. */
export interface Play {
  readonly stage: Stage;
  readonly narrator: Narrator;
  readonly witness: Witness;
  /** What came in so far. */
  readonly rows: readonly Row[];
  /** A text message to the channel, sent so many seconds ago; nobody has got it yet. */
  message(from: Sender, text: string, agoSeconds?: number): ChatMessage;
  /** Waits for what the gateway and the bot make of a message that is coming in, and tells it. */
  cameIn(act: number, what: string, message: ChatMessage, expected: Outcome): Promise<void>;
  /** The same for a held message that the owner lets go. */
  released(act: number, what: string, message: ChatMessage): Promise<void>;
  /** Asks the gateway to bring a message back, and waits for Whapi's first answer. Returns the resync's id. */
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

  const tellBot = async ({ answers }: Happened): Promise<void> => {
    if (answers.length === 0) await fact('bot', 'stays silent');
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
    cameIn: async (act, what, message, expected) => {
      const { sighting, happened } = await witness.arrivalOf(message.id);
      await fact('came in', `${message.from_name}, ${ageOf(message)}: "${message.text.body}"`, 'bold');
      await fact('gateway', verdictOf(sighting), sighting.held ? 'yellow' : 'green');
      await tellBot(happened);
      const { verdict, rule } = sighting;
      rows.push({ act, what, expected, verdict, rule, ...counted(happened) });
    },
    released: async (act, what, message) => {
      const happened = await witness.releaseOf(message.id);
      await tellBot(happened);
      rows.push({ act, what, expected: 'released', verdict: 'released', rule: null, ...counted(happened) });
    },
    resync: async ({ id }) => {
      const request = { channel: CHANNEL, message_ids: [id] };
      await fact('owner', `POST /v1/resyncs ${JSON.stringify(request)}`);
      const resync = await bodyOf(stage.gateway<{ id: string }>('POST', '/v1/resyncs', request));
      await fact('gateway', 'writes the id down; only then it asks Whapi:');
      await fact('gateway', `GET /messages/${id}?resync=true`);
      const status = await witness.resyncAnswerFor(id);
      await fact('whapi', `${status}, which only means "not yet": it has asked the phone, the message comes later`);
      return resync.id;
    },
  };
}

function verdictOf({ verdict, rule, reason, held }: Sighting): string {
  return `${verdict}, by rule ${rule} (${reason}): ${held ? 'held back' : 'sent to the bot'}`;
}

function counted({ answers, bareAnswers }: Happened): Pick<Row, 'answers' | 'bareAnswers'> {
  return { answers: answers.length, bareAnswers };
}
