const OWN_NUMBER = '12025550100';

/**
 * A message as Whapi sends it. `tag` numbers the copies that the month tells apart: it stands in `device_id`, which no
 * filter reads, so that the bot's side can tell which of two messages with one id it has received.
 */
export function messageBody({ tag, id, chat, sentAt, kind, text, isOwn = false }) {
  const base = {
    id,
    from_me: isOwn,
    chat_id: chat,
    timestamp: Math.floor(sentAt / 1000),
    source: isOwn ? 'api' : 'mobile',
    device_id: tag,
    from: isOwn ? OWN_NUMBER : chat.split('@')[0],
  };
  switch (kind) {
    case 'placeholder':
      return { ...base, type: 'unknown' };
    case 'edit':
      return {
        ...base,
        type: 'action',
        subtype: 'edit',
        action: { target: text.target, type: 'edit', edited_type: 'text', edited_content: { body: `edited ${tag}` } },
      };
    case 'poll':
    case 'vote':
      return {
        ...base,
        from_me: true,
        type: kind === 'poll' ? 'poll' : 'poll_update',
        poll: { title: 'When?', options: ['today', 'tomorrow'], total: text.votes, results: [{ count: text.votes }] },
      };
    default:
      return { ...base, type: 'text', text: { body: text ?? `message ${id}` } };
  }
}

/** The webhook that carries them. */
export function webhookBody(method, messages) {
  const event = { type: 'messages', event: method };
  return Buffer.from(JSON.stringify({ messages, event, channel_id: 'MANTIS-M72HC' }));
}
