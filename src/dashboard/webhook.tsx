import { useSignal } from '@preact/signals';
import type { Webhook } from '../contract/items.js';
import { get, path } from './api.js';
import { Badge, VerdictBadge } from './badge.js';
import { Body, bytesOf } from './body.js';
import { CurlButton } from './copy.js';
import { Evidence } from './evidence.js';
import { Facts } from './facts.js';
import { ChannelLink, IdLink, MessageLink } from './links.js';
import { useLoad } from './loading.js';
import { targets, targetName } from './names.js';
import { Empty, Pending } from './notice.js';
import { href, route } from './routes.js';
import { PageHead } from './shell.js';
import { Status } from './badge.js';
import { Time } from './time.js';

type WebhookItem = Webhook['items'][number];

const load = (id: string) => async (): Promise<Webhook> => await get<Webhook>(path('v1/webhooks', id));

/** The page of one webhook. */
export function WebhookPage() {
  const [id = ''] = route.value.rest;
  const { value: webhook, error, reload } = useLoad(`webhook ${id}`, load(id));
  return (
    <>
      <PageHead title={`Webhook ${id}`} above={<a href={href('live')}>Live</a>}>
        <CurlButton path={path('v1/webhooks', id)} />
        <a class="button" href={href('dry-run', [], { webhook: id })}>
          Dry run
        </a>
      </PageHead>
      {webhook === null && <Pending error={error} retry={reload} />}
      {webhook && (
        <>
          <Facts
            facts={[
              ['Received', <Time key="received" at={webhook.received_at} />],
              ['Channel', <ChannelLink key="channel" name={webhook.channel} />],
              ['Event', webhook.event],
              ['Request', `${webhook.method} ${webhook.suffix === '' ? '/' : webhook.suffix}`],
              webhook.audit !== null && ['Made by', <IdLink key="audit" page="audits" id={webhook.audit} />],
            ]}
          />
          <DiffView key={id} webhook={webhook} />
        </>
      )}
    </>
  );
}

/** A webhook and what each target got of it, loaded by its id. */
export function WebhookDiff({ id }: { readonly id: string }) {
  const { value: webhook, error } = useLoad(`webhook ${id}`, load(id));
  return webhook === null ? <Pending error={error} /> : <DiffView webhook={webhook} />;
}

const RECEIVED = '';

function DiffView({ webhook }: { readonly webhook: Webhook }) {
  const chosen = useSignal(RECEIVED);
  const ids = targetsOf(webhook);
  const sent = webhook.deliveries.filter(({ target }) => target === chosen.value);
  const positions = chosen.value === RECEIVED ? null : new Set(sent.flatMap((delivery) => delivery.positions));
  return (
    <div class="webhook">
      <div class="tabs" role="group" aria-label="View">
        {[RECEIVED, ...ids].map((id) => (
          <button key={id} type="button" aria-pressed={chosen.value === id} onClick={() => (chosen.value = id)}>
            {id === RECEIVED ? 'As received' : targetName(id)}
          </button>
        ))}
      </div>
      <Sizes webhook={webhook} positions={positions} sent={sent} />
      {sent.map(({ id, status, released }) => (
        <p key={id}>
          <IdLink page="deliveries" id={id} /> <Status status={status} />{' '}
          {released && <Badge tone="quiet">released</Badge>}
        </p>
      ))}
      <Items webhook={webhook} positions={positions} />
      <details>
        <summary>The whole body</summary>
        <Body text={webhook.body} />
      </details>
    </div>
  );
}

/** Targets that were sent a part, and those that take items of the channel. */
function targetsOf({ channel, deliveries }: Webhook): readonly string[] {
  const taking = (targets.value ?? []).filter(({ channels }) => channels.includes('*') || channels.includes(channel));
  return [...new Set([...deliveries.map(({ target }) => target), ...taking.map(({ id }) => id)])];
}

interface PartProps {
  readonly webhook: Webhook;
  /** The items that the chosen target was sent; null: no target is chosen. */
  readonly positions: ReadonlySet<number> | null;
}

interface SizesProps extends PartProps {
  readonly sent: Webhook['deliveries'];
}

function Sizes({ webhook, positions, sent }: SizesProps) {
  const { items, body } = webhook;
  const before = bytesOf(body).toLocaleString();
  if (positions === null) {
    return (
      <p>
        {items.length} {items.length === 1 ? 'item' : 'items'}, <span class="num">{before}</span> bytes
      </p>
    );
  }
  if (positions.size === 0) return <p>It received nothing from this webhook.</p>;
  const cut = items.filter(({ position }) => !positions.has(position)).length;
  return (
    <p>
      {items.length - cut} of {items.length} items sent{cut > 0 && `, ${cut} cut`}: <span class="num">{before}</span>{' '}
      bytes received, <span class="num">{sent.map(({ bytes }) => bytes.toLocaleString()).join(' + ')}</span> bytes sent
      {sent.length > 1 && ` in ${sent.length} requests`}.
    </p>
  );
}

const sizeOf = ({ start, end }: WebhookItem): number => (start === null || end === null ? 0 : end - start);

const FIRST_ITEMS = 20;

function Items({ webhook, positions }: PartProps) {
  const count = useSignal(FIRST_ITEMS);
  const bytes = new TextEncoder().encode(webhook.body);
  const { items } = webhook;
  if (items.length === 0) return <Empty title="This webhook has no items." />;
  return (
    <>
      <ol class="plain-list items">
        {items.slice(0, count.value).map((item) => (
          <ItemBlock
            key={item.position}
            item={item}
            bytes={bytes}
            isCut={positions !== null && !positions.has(item.position)}
          />
        ))}
      </ol>
      {items.length > count.value && (
        <button type="button" onClick={() => (count.value += FIRST_ITEMS)}>
          Show more of {items.length} items
        </button>
      )}
    </>
  );
}

interface BlockProps {
  readonly item: WebhookItem;
  readonly bytes: Uint8Array;
  readonly isCut: boolean;
}

function ItemBlock({ item, bytes, isCut }: BlockProps) {
  const { start, end, position, carrier, channel, message_id: messageId } = item;
  const text = start === null || end === null ? null : new TextDecoder().decode(bytes.subarray(start, end));
  return (
    <li class={`item ${isCut ? 'cut' : ''}`}>
      <p class="item-head">
        <code>{carrier === '' ? 'body' : `${carrier}[${position}]`}</code>
        <VerdictBadge verdict={item.verdict} rule={item.rule} reason={item.reason} held={item.held} />
        {messageId !== null && <MessageLink channel={channel} id={messageId} />}
        {isCut && <Badge tone="bad">not sent to this target</Badge>}
        <span class="dim num">{sizeOf(item).toLocaleString()} bytes</span>
      </p>
      <details>
        <summary>
          Rule {item.rule}: {item.reason}
        </summary>
        <Evidence evidence={item.evidence} />
      </details>
      {text !== null && <Body text={text} label={`Item ${position}`} />}
    </li>
  );
}
