import { ASSUMPTIONS } from './assumptions.js';
import { messageBody, webhookBody } from './bodies.js';
import { resyncsOf } from './resyncs.js';
import { DAY, HOUR, MINUTE, periodAt, periodsOf, START, topic } from './periods.js';

/**
 * One month of one busy number, from a seed: the webhooks that Whapi sends, the resyncs that people ask for, and the truth
 * about each message.
 * - `webhooks`: `{ serial, at, method, body, items }`, in the order in which Whapi first sends them. Each item has its tag,
 *   kind and label.
 * - `resyncs`: `{ id, askedAt }`, in the order of the calls.
 * - label `genuine`: the bot has to receive it, once. `restored`: it must not. `silent`: the bot does not act on it
 *   (placeholders, puts, own messages).
 */
export function monthOf(seed, days) {
  const periods = periodsOf(seed, days);
  const month = new MonthMaker(seed, days, periods);
  for (let day = 0; day < days; day += 1) month.addDay(day);
  month.addBursts();
  const resyncs = resyncsOf(seed, month, periods);
  for (const { at, items } of resyncs.webhooks) month.add(at, 'post', items);
  const webhooks = month.webhooks.sort((one, other) => one.at - other.at || one.serial - other.serial);
  return { start: START, end: START + days * DAY, periods, webhooks, resyncs: resyncs.calls, answers: month.answers };
}

class MonthMaker {
  webhooks = [];
  /** By chat: when a person sent an answer, ascending within a conversation. */
  answers = new Map();
  /** Messages that came, and those that Whapi never sent. */
  delivered = [];
  neverSent = [];
  #bursts = new Map();
  #tags = 0;
  #periods;
  #random;
  #customers;

  constructor(seed, days, periods) {
    this.days = days;
    this.#periods = periods;
    this.#random = topic(seed, 10);
    this.#customers = Array.from({ length: ASSUMPTIONS.customers }, (_, at) => `1202556${1000 + at}@s.whatsapp.net`);
  }

  /** Numbers an item. What Whapi sends again has the same tag, and the same bytes. */
  tagged = (item) => {
    this.#tags += 1;
    return { tag: this.#tags, ...item };
  };

  newId = () => `${this.#random.word(22)}-${this.#random.word(10)}`;

  add(at, method, items) {
    const body = webhookBody(method, items.map(messageBody));
    this.webhooks.push({ serial: this.webhooks.length, at, method, body, items });
  }

  addDay(day) {
    const random = this.#random;
    const [opens, closes] = ASSUMPTIONS.active_hours_utc;
    const dayStart = START + day * DAY;
    const isWeekend = day % 7 >= 5;
    for (let left = ASSUMPTIONS.messages_per_day * (isWeekend ? 0.5 : 1.2); left > 0;) {
      const count = random.whole(ASSUMPTIONS.messages_per_conversation);
      left -= count;
      this.#addConversation(dayStart + random.between([opens, closes]) * HOUR, count);
    }
    for (let poll = 0; poll < ASSUMPTIONS.polls.per_day; poll += 1)
      this.#addPoll(dayStart + random.between([opens, closes - ASSUMPTIONS.polls.hours]) * HOUR);
  }

  #addConversation(begins, count) {
    const random = this.#random;
    // A few customers write often.
    const chat = this.#customers[Math.floor(random.next() ** 2 * this.#customers.length)];
    let sentAt = begins;
    for (let message = 0; message < count; message += 1) {
      this.#addMessage({ chat, id: this.newId(), sentAt });
      sentAt += random.between([20, 180]) * 1000;
    }
    const { conversations, while_channel_or_bot_is_down: whileDown, minutes } = ASSUMPTIONS.person_answers;
    const isDown = periodAt(this.#periods.offline, begins) || periodAt(this.#periods.botDown, begins);
    if (random.happens(isDown ? whileDown : conversations))
      this.#answer(chat, sentAt + random.between(minutes) * MINUTE);
  }

  #answer(chat, sentAt) {
    const times = this.answers.get(chat) ?? [];
    times.push(sentAt);
    this.answers.set(chat, times);
    this.#send(this.#arrival(sentAt), 'post', {
      ...{ kind: 'own', label: 'silent', id: this.newId(), chat, sentAt, isOwn: true },
    });
  }

  #addMessage(message) {
    const random = this.#random;
    const { straggler, never_sent_by_whapi, placeholder_first, put_before_post, edit, revision_by_put } = ASSUMPTIONS;
    if (random.isOneIn(never_sent_by_whapi.one_in)) {
      this.neverSent.push(message);
      return;
    }
    let arrival = this.#arrival(message.sentAt);
    if (random.isOneIn(straggler.one_in)) {
      const [least, most] = straggler.hours.map(Math.log);
      arrival = this.#arrival(message.sentAt + Math.exp(random.between([least, most])) * HOUR);
    } else if (random.isOneIn(placeholder_first.one_in)) {
      this.#send(arrival, 'post', { kind: 'placeholder', label: 'silent', ...message });
      const { seconds, hours_later: later } = placeholder_first;
      arrival = random.isOneIn(later.one_in)
        ? this.#arrival(arrival.at + random.between(later.hours) * HOUR)
        : this.#arrival(arrival.at + random.between(seconds) * 1000);
    } else if (random.isOneIn(put_before_post.one_in)) {
      this.#send(arrival, 'put', { kind: 'message', label: 'silent', ...message });
      arrival = { at: arrival.at + random.between(put_before_post.seconds) * 1000, burst: null };
    }
    this.#send(arrival, 'post', { kind: 'message', label: 'genuine', ...message });
    this.delivered.push({ ...message, at: arrival.at });
    if (random.isOneIn(edit.one_in)) this.#addEdit(message);
    if (random.isOneIn(revision_by_put.one_in)) {
      const at = arrival.at + random.between(revision_by_put.seconds) * 1000;
      this.#send(this.#arrival(at), 'put', { kind: 'message', label: 'silent', ...message, text: 'revised' });
    }
  }

  #addEdit({ chat, id, sentAt }) {
    const editedAt = sentAt + this.#random.between(ASSUMPTIONS.edit.seconds) * 1000;
    const edit = { kind: 'edit', label: 'genuine', id: this.newId(), chat, sentAt: editedAt, text: { target: id } };
    this.#send(this.#arrival(editedAt), 'post', edit);
  }

  /** A vote comes under the id and with the time of its poll (docs/whapi.md, Message). */
  #addPoll(sentAt) {
    const random = this.#random;
    const poll = { id: this.newId(), chat: random.pick(this.#customers), sentAt };
    this.#send(this.#arrival(sentAt), 'post', { kind: 'poll', label: 'silent', ...poll, text: { votes: 0 } });
    const count = random.whole(ASSUMPTIONS.polls.votes);
    const times = Array.from({ length: count }, () => sentAt + (0.01 + random.next()) * ASSUMPTIONS.polls.hours * HOUR);
    for (const [at, votedAt] of times.sort((one, other) => one - other).entries())
      this.#send(this.#arrival(votedAt), 'post', { kind: 'vote', label: 'genuine', ...poll, text: { votes: at + 1 } });
  }

  /** When Whapi sends what happened at a time: some seconds later, or in the burst after the channel is back. */
  #arrival(happenedAt) {
    const burst = periodAt(this.#periods.offline, happenedAt) ?? null;
    return {
      at: (burst?.until ?? happenedAt) + this.#random.between(ASSUMPTIONS.ordinary_delay_seconds) * 1000,
      burst,
    };
  }

  #send({ at, burst }, method, item) {
    const tagged = this.tagged(item);
    if (burst === null || method === 'put') this.add(at, method, [tagged]);
    else this.#bursts.set(burst, [...(this.#bursts.get(burst) ?? []), tagged]);
  }

  /** What came while the channel was offline, oldest first, several to a webhook; webhooks may overtake each other. */
  addBursts() {
    const { messages_per_webhook: sizes, seconds } = ASSUMPTIONS.burst;
    for (const [{ until }, items] of this.#bursts) {
      const left = items.sort((one, other) => one.sentAt - other.sentAt || one.tag - other.tag);
      const total = left.length;
      while (left.length > 0) {
        const done = 1 - left.length / total;
        const at = until + (done * seconds + this.#random.between([1, 10])) * 1000;
        this.add(at, 'post', left.splice(0, this.#random.whole(sizes)));
      }
    }
  }
}
