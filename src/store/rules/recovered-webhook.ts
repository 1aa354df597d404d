/**
 * The body of a webhook that carries one message of Whapi's list: the element's own bytes, wrapped the way Whapi wraps
 * them (docs/whapi.md). `channel_id` is left out while the Whapi channel is unknown.
 */
export function recoveredWebhookBody(messageJson: Buffer, channelId: string | null): Buffer {
  const channel = channelId === null ? '' : `,"channel_id":${JSON.stringify(channelId)}`;
  const tail = `],"event":{"type":"messages","event":"post"}${channel}}`;
  return Buffer.concat([Buffer.from('{"messages":['), messageJson, Buffer.from(tail)]);
}
