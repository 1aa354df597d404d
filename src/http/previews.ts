import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { previewChannel, previewTarget } from '../contract/operations/previews.js';
import type { ChannelChange as ChannelChangeJson } from '../contract/channels.js';
import type { Preview as PreviewJson } from '../contract/previews.js';
import { DAY_MS } from '../durations.js';
import type { Effects } from '../effects.js';
import { noSuchChannel } from '../errors.js';
import { PREVIEW_OUTCOMES } from '../model.js';
import type { Channel } from '../model.js';
import type { ChannelChange, Unsure } from '../preview/judge-again.js';
import type { OutcomeCounts } from '../preview/outcomes.js';
import { createPreviewer } from '../preview/preview.js';
import type { Preview } from '../preview/preview.js';
import { counted } from '../quantities.js';
import { judgingChangeOf } from './channels.js';
import { checkedEventNames } from './event-names.js';
import { iso, timesOf } from './schemas.js';
import { changeOf } from './target-json.js';
import { mustHave } from './targets.js';
import type { Registry } from '../store/registry.js';
import type { History } from '../store/history.js';

export interface PreviewRoutesOptions {
  readonly store: {
    readonly registry: Pick<Registry, 'target' | 'targets' | 'channel'>;
    readonly history: History;
  };
  readonly effects: Pick<Effects, 'now'>;
}

/** `/v1/targets/{id}/preview` and `/v1/channels/{name}/preview`. */
export const previewRoutes: FastifyPluginAsyncTypebox<PreviewRoutesOptions> = async (app, options) => {
  const { store, effects } = options;
  const previewer = createPreviewer({ store, effects });
  const startOf = (body: { since?: string }): number => timesOf(body).since ?? effects.now() - DAY_MS;

  app.post('/targets/:id/preview', { schema: previewTarget }, async ({ params, body }) => {
    const before = await mustHave(store.registry, params.id);
    const { changes } = body;
    const events = changes.events && { events: checkedEventNames(changes.events) };
    const after = { ...before, ...changeOf(changes), ...events };
    return previewJson(await previewer.preview({ since: startOf(body), targets: [{ before, after }] }));
  });

  app.post('/channels/:name/preview', { schema: previewChannel }, async ({ params: { name: channel }, body }) => {
    const before = await store.registry.channel(channel);
    if (!before) throw noSuchChannel(channel);
    const targets = (await store.registry.targets()).map((target) => ({ before: target, after: target }));
    const change = channelChangeOf(before, body.changes);
    return previewJson(await previewer.preview({ since: startOf(body), channel, targets, change }));
  });
  await Promise.resolve();
};

function channelChangeOf(before: Channel, changes: ChannelChangeJson): ChannelChange {
  const changed = judgingChangeOf(changes);
  return {
    before,
    after: { ...before, ...changed },
    hasLate: 'lateAfterSeconds' in changed,
    hasReplays: ['onReplay', 'replayAfterSeconds', 'replayMessages'].some((name) => name in changed),
  };
}

function previewJson({ since, until, isComplete, webhooks, unsure, targets }: Preview): PreviewJson {
  return {
    ...{ since: iso(since), until: iso(until), complete: isComplete, webhooks, notes: notesOf(unsure, iso(since)) },
    targets: targets.map(({ target, before, after, differences }) => ({
      ...{ target: target.id, name: target.name, before: countsJson(before), after: countsJson(after) },
      differences: differences.map(({ items, ...difference }) => ({
        ...difference,
        items: items.map(({ messageId, receivedAt, ...item }) => ({
          ...item,
          ...{ message_id: messageId, received_at: iso(receivedAt) },
        })),
      })),
    })),
  };
}

/** What the preview cannot know. */
function notesOf({ replayed, late }: Unsure, since: string): string[] {
  return [
    ...(replayed === 0
      ? []
      : [
          `${counted(replayed, 'old message')} near the start may continue a replay that began before ${since}, which the ` +
            'preview does not read. It counts them as not held. An earlier "since" shows more.',
        ]),
    ...(late === 0
      ? []
      : [
          `${counted(late, 'message')} may be late: the newest message of the chat may have been recorded before ${since}, ` +
            'which the preview does not read. It counts them as new. An earlier "since" shows more.',
        ]),
  ];
}

function countsJson(counts: OutcomeCounts): PreviewJson['targets'][number]['before'] {
  const all = PREVIEW_OUTCOMES.map((outcome) => [outcome, counts[outcome] ?? 0] as const);
  return Object.fromEntries(all) as PreviewJson['targets'][number]['before'];
}
