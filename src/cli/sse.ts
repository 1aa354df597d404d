/** One server-sent event. */
export interface ServerEvent {
  readonly kind: string;
  readonly data: string;
  /** Null: it has none. */
  readonly id: string | null;
}

/** The events in a text that comes in pieces. One that the end of the text cuts off is dropped. */
export async function* eventsIn(pieces: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  let rest = '';
  for await (const piece of pieces) {
    const blocks = `${rest}${piece}`.replaceAll('\r\n', '\n').split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== null) yield event;
    }
  }
}

/** Null: a comment, or only settings of the connection. */
function eventOf(block: string): ServerEvent | null {
  const fields = block.split('\n').map((line): [string, string] => {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    return [name, value];
  });
  const data = fields.flatMap(([name, value]) => (name === 'data' ? [value] : []));
  if (data.length === 0) return null;
  const { event: kind = 'message', id = null } = Object.fromEntries(fields) as { event?: string; id?: string };
  return { kind, data: data.join('\n'), id };
}
