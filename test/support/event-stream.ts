import { onTestFinished, vi } from 'vitest';

export interface StreamEvent {
  readonly id: string | null;
  readonly kind: string;
  readonly data: Record<string, unknown>;
}

/** Events in text of a feed, comments and `retry` left out. */
export function parseEvents(text: string): StreamEvent[] {
  return text.split('\n\n').flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
    const data = field('data');
    if (data === undefined) return [];
    return [{ id: field('id') ?? null, kind: field('event') ?? '', data: JSON.parse(data) as Record<string, unknown> }];
  });
}

export interface FeedReader {
  readonly status: number;
  readonly headers: Headers;
  readonly events: StreamEvent[];
  /** Resolves with the events of a kind when there are as many. */
  some(kind: string, count?: number): Promise<StreamEvent[]>;
  /** Resolves when the server has ended the feed. */
  readonly ended: Promise<void>;
  close(): void;
}

export async function readFeed(url: string, headers: Record<string, string>): Promise<FeedReader> {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const { status, headers: answered, body } = await fetch(url, { headers, signal: abort.signal });
  const events: StreamEvent[] = [];
  const read = async (): Promise<void> => {
    let text = '';
    for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (text + part).split('\n\n');
      text = blocks.pop() ?? '';
      events.push(...parseEvents(blocks.join('\n\n')));
    }
  };
  const ended = read().catch((error: unknown) => {
    if (!abort.signal.aborted) throw error;
  });
  return {
    ...{ status, headers: answered, events, ended },
    some: async (kind, count = 1) =>
      await vi.waitFor(
        () => {
          const found = events.filter((event) => event.kind === kind);
          if (found.length < count) throw new Error(`${found.length} of ${count} events of the kind ${kind} so far`);
          return found;
        },
        { timeout: 20_000, interval: 10 },
      ),
    close: () => abort.abort(),
  };
}
