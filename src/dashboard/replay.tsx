import type { Channel } from '../contract/channels.js';
import { get } from './api.js';
import type { Page } from './api.js';
import { useLoad } from './loading.js';
import { href } from './routes.js';
import { minutesAgo, Time } from './time.js';

const MINUTES_SHOWN = 24 * 60;
const REFRESH_MS = 30_000;

/** An alert for each channel with a replay in the last day. */
export function ReplayNotices() {
  const { value: channels } = useLoad(
    'replays',
    async () => (await get<Page<Channel>>('v1/channels?limit=500')).data,
    REFRESH_MS,
  );
  return (
    <>
      {(channels ?? []).map((channel) => (
        <ReplayNotice key={channel.name} channel={channel} />
      ))}
    </>
  );
}

/** Many unrequested old messages came together in the last day. */
export function ReplayNotice({ channel }: { readonly channel: Channel }) {
  const { name, last_replay: replay, on_replay: onReplay } = channel;
  if (replay === null || replay.last_at < minutesAgo(MINUTES_SHOWN)) return null;
  return (
    <div class="notice warn" role="status">
      <p>
        {replay.messages.toLocaleString()} unrequested old messages arrived in{' '}
        <a href={href('channels', [name])}>{name}</a> from <Time at={replay.began_at} /> to <Time at={replay.last_at} />
        , the oldest sent <Time at={replay.oldest_sent_at} />.{' '}
        {replay.held > 0 ? (
          <a href={href('held', [], { channel: name, verdict: 'restored', since: replay.began_at })}>
            {replay.held.toLocaleString()} of them are held.
          </a>
        ) : (
          'They were delivered.'
        )}
      </p>
      {onReplay === 'deliver' && <p>To hold such messages, edit the channel.</p>}
    </div>
  );
}
