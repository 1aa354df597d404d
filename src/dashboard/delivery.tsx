import { labelledReason } from '../contract/explained-words.js';
import type { DeliveryDetail } from '../contract/deliveries.js';
import type { Target } from '../contract/targets.js';
import { Attempts } from './attempts.js';
import { get, path, post, wordsOf } from './api.js';
import { Badge, Status } from './badge.js';
import { Body } from './body.js';
import { CopyButton, CurlButton } from './copy.js';
import { Expiry, Verdicts, WaitsFor } from './delivery-table.js';
import { Facts, Section } from './facts.js';
import type { Fact } from './facts.js';
import { ChannelLink, IdLink, TargetLink } from './links.js';
import { useLoad } from './loading.js';
import { targets } from './names.js';
import { announce, Pending } from './notice.js';
import { href } from './routes.js';
import { PageHead } from './shell.js';
import { useFeedReload } from './live-list.js';
import { Time } from './time.js';

export function DeliveryPage({ id }: { readonly id: string }) {
  const loaded = useLoad(`delivery ${id}`, async () => await get<DeliveryDetail>(path('v1/deliveries', id)));
  const { value: delivery, error, reload } = loaded;
  useFeedReload(loaded, ({ deliveries }) => deliveries.some((each) => each.id === id));
  if (delivery === null) return <Pending error={error} retry={reload} />;
  const retry = (): void => {
    post(path('v1/deliveries', id, 'retry')).then(
      () => {
        announce('It is queued to be sent.');
        reload();
      },
      (reason: unknown) => announce(wordsOf(reason), 'bad'),
    );
  };
  return (
    <>
      <PageHead title={`Delivery ${id}`} above={<a href={href('deliveries')}>Deliveries</a>}>
        <CurlButton path={path('v1/deliveries', id)} />
        <CopyButton label="Copy the request as curl" text={() => requestOf(delivery)} />
        <button type="button" class="primary" data-key="n" onClick={retry}>
          {delivery.status === 'pending' ? 'Send now' : 'Retry'}
        </button>
      </PageHead>
      <Facts facts={factsOf(delivery)} />
      <Section title={`Attempts (${delivery.attempts})`}>
        <Attempts attempts={delivery.log} />
      </Section>
      <Section title={`Body (${delivery.bytes.toLocaleString()} bytes)`}>
        <Body text={delivery.body} />
      </Section>
    </>
  );
}

function factsOf(delivery: DeliveryDetail): Fact[] {
  return [
    ['Status', <Status key="status" status={delivery.status} />],
    delivery.status === 'pending' && ['Waits for', <WaitsFor key="waits" delivery={delivery} />],
    delivery.expires_at !== null && ['Freshness', <Expiry key="expires" delivery={delivery} />],
    ['Target', <TargetLink key="target" id={delivery.target} />],
    ['Channel', <ChannelLink key="channel" name={delivery.channel} />],
    ['Event', delivery.event],
    ['Webhook', <Carried key="webhook" delivery={delivery} />],
    ['Verdicts', <Verdicts key="verdicts" verdicts={delivery.verdicts} />],
    ['Recorded', <Time key="recorded" at={delivery.created_at} />],
    delivery.next_attempt_at !== null && ['Next attempt', <Time key="next" at={delivery.next_attempt_at} />],
    delivery.settled_at !== null && ['Settled', <Time key="settled" at={delivery.settled_at} />],
    delivery.last_error !== null && labelledReason(delivery.last_error),
    delivery.released && [
      'Released',
      <Badge key="released" tone="quiet">
        manually: sent whatever its age
      </Badge>,
    ],
  ];
}

/** The webhook that it was made from, and which of its items it carries. */
function Carried({ delivery: { webhook, positions } }: { readonly delivery: DeliveryDetail }) {
  const shown = positions.slice(0, 20).join(', ');
  return (
    <>
      <IdLink page="webhooks" id={webhook} /> {positions.length === 1 ? 'item' : 'items'} {shown}
      {positions.length > 20 && ' …'}
    </>
  );
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** The request to the target, without signature. */
function requestOf({ target, body, event }: DeliveryDetail): string {
  const found: Target | undefined = targets.value?.find(({ id }) => id === target);
  const method = found?.mode === 'method' ? (event.split('.')[1] ?? 'post').toUpperCase() : 'POST';
  return `curl -X ${method} ${quoted(found?.url ?? 'https://bot.example.com/')} \\\n  -H 'content-type: application/json' \\\n  --data-raw ${quoted(body)}`;
}
