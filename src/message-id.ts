/**
 * What the gateway takes for a message id. Whapi has widened the form of its ids twice, so only what a URL can carry is
 * asked for (docs/whapi.md, Message). Pure.
 */
export const MESSAGE_ID = '^(?!\\.{1,2}$)[A-Za-z0-9._~-]{1,256}$';
export const MESSAGE_ID_WORDS = 'a message id: 1 to 256 letters, digits, ".", "_", "~" or "-"';
export const MESSAGE_ID_EXAMPLE = 'p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg';

const PATTERN = new RegExp(MESSAGE_ID);

export function isMessageId(text: string): boolean {
  return PATTERN.test(text);
}
