import autocannon from 'autocannon';
import { WEBHOOK_SECRET } from './servers.js';

const CHATS = 1000;
let sequence = 0;

/** Text messages as Whapi documents them, each with its own id, across a thousand chats. */
export function nextMessage() {
  sequence += 1;
  const chat = 12025550000 + (sequence % CHATS);
  return JSON.stringify({
    messages: [
      {
        id: `p.w30M7fgwWD4XwHu.${sequence.toString(36)}-gNcCzMdVPg`,
        from_me: false,
        type: 'text',
        chat_id: `${chat}@s.whatsapp.net`,
        timestamp: 1762000000 + Math.floor(sequence / 1000),
        source: 'mobile',
        text: { body: 'Hello, is the blue one still available in size 42? I would come by tomorrow.' },
        from: String(chat),
        from_name: 'Alice Example',
      },
    ],
    event: { type: 'messages', event: 'post' },
    channel_id: 'MANTIS-M72HC',
  });
}

/** Sends webhooks for some seconds. Returns the rate (answers per second) and the latency of an answer in ms. */
export async function load(url, { seconds, connections = 100, rate }) {
  const result = await autocannon({
    url: `${url}/webhooks/main`,
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${WEBHOOK_SECRET}` },
    connections,
    duration: seconds,
    ...(rate && { overallRate: rate }),
    requests: [{ setupRequest: (request) => ({ ...request, body: nextMessage() }) }],
  });
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${result.non2xx} answers other than 2xx and ${result.errors} errors from ${url}`);
  }
  return {
    rate: result.requests.total / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
    total: result.requests.total,
  };
}

/** Of an even number of them: the mean of the two in the middle. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

/** @param part 0 to 1 */
export function percentile(numbers, part) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}
