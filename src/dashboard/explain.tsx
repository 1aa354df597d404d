import { useSignal } from '@preact/signals';
import type { ExplainedDelivery } from '../contract/deliveries.js';
import { labelledReason, placeOf, runsOf, summaryOf } from '../contract/explained-words.js';
import type { Item } from '../contract/items.js';
import type { Explanation, Sighting } from '../contract/messages.js';
import { get, path } from './api.js';
import type { Page } from './api.js';
import { Badge, Status, VerdictBadge } from './badge.js';
import { CopyButton, CurlButton } from './copy.js';
import { Attempts } from './attempts.js';
import { Expiry, WaitsFor } from './delivery-table.js';
import { Evidence } from './evidence.js';
import { Facts, Section } from './facts.js';
import { Field, Form, Select } from './form.js';
import { ItemTable } from './item-table.js';
import { IdLink, TargetLink } from './links.js';
import { useFeedReload } from './live-list.js';
import { useLoad } from './loading.js';
import { channels } from './names.js';
import { Empty, Pending } from './notice.js';
import { Pieces } from './pieces.js';
import { ReleaseDialog } from './release.js';
import { go, href, route } from './routes.js';
import { PageHead } from './shell.js';
import { Time } from './time.js';
import { Timeline } from './timeline.js';
import { WebhookDiff } from './webhook.js';

export function Explain() {
  const [channel, id] = route.value.rest;
  if (channel !== undefined && id !== undefined)
    return <Explained key={`${channel} ${id}`} channel={channel} id={id} />;
  return <Search />;
}

const ANY = { value: '', text: 'every channel' };

function Search() {
  const sought = route.value.query.get('id') ?? '';
  return (
    <>
      <PageHead title="Explain" />
      <p>What happened to a message: why it was sent or held, when, and what each target answered.</p>
      <Form
        label="Find a message"
        action="Explain"
        onSubmit={async ({ id = '', channel = '' }) => {
          const messageId = id.trim();
          const found = channel !== '' ? channel : await channelOf(messageId);
          go(found === null ? href('explain', [], { id: messageId }) : href('explain', [found, messageId]));
        }}
      >
        <div class="fields">
          <Field name="id" label="Message id" value={sought} required />
          <Select
            name="channel"
            label="Channel"
            options={[ANY, ...(channels.value ?? []).map(({ name }) => ({ value: name, text: name }))]}
          />
        </div>
      </Form>
      {sought !== '' && <Found id={sought} />}
    </>
  );
}

/** The channel that an id belongs to, if it is exactly one. */
async function channelOf(messageId: string): Promise<string | null> {
  const { data } = await get<Page<Item>>('v1/items', { message_id: messageId, limit: 100 });
  const names = [...new Set(data.map(({ channel }) => channel))];
  return names.length === 1 ? (names[0] ?? null) : null;
}

function Found({ id }: { readonly id: string }) {
  const { value, error } = useLoad(`items ${id}`, async () => await get<Page<Item>>('v1/items', { message_id: id }));
  if (value === null) return <Pending error={error} />;
  if (value.data.length > 0) return <ItemTable caption="Items with this message id" rows={value.data} />;
  return (
    <Empty title="No webhook has carried this id.">
      <p>
        It may have been pruned, or never delivered: an <a href={href('audits')}>audit</a> finds messages at Whapi that
        no webhook delivered. If only a resync knows the id, choose its channel above.
      </p>
    </Empty>
  );
}

function Explained({ channel, id }: { readonly channel: string; readonly id: string }) {
  const loaded = useLoad(
    `explain ${channel} ${id}`,
    async () => await get<Explanation>(path('v1/messages', channel, id)),
  );
  const { value: found, error, reload } = loaded;
  const released = useSignal<Sighting | null>(null);
  useFeedReload(loaded, ({ deliveries, webhooks }) =>
    [...deliveries, ...webhooks].some((each) => each.channel === channel),
  );
  const above = (
    <>
      <a href={href('explain')}>Explain</a> / <a href={href('channels', [channel])}>{channel}</a>
    </>
  );
  if (found === null) {
    return (
      <>
        <PageHead title="Explain" above={above} />
        <Pending error={error} retry={reload} />
      </>
    );
  }
  const held = found.sightings.findLast((sighting) => sighting.held);
  return (
    <>
      <PageHead title={`Message ${id}`} above={above}>
        <CopyButton text={id} label="Copy the id" />
        <CurlButton path={path('v1/messages', channel, id)} />
        {held && (
          <button type="button" class="primary" data-key="n" onClick={() => (released.value = held)}>
            Release …
          </button>
        )}
      </PageHead>
      <Summary found={found} />
      <div class="columns wide-left">
        <Section title="Timeline">
          <Timeline found={found} />
        </Section>
        <div>
          <Sightings sightings={found.sightings} />
          <Runs found={found} />
        </div>
      </div>
      <Section title={`Deliveries (${found.deliveries.length})`}>
        {found.deliveries.length === 0 && (
          <Empty title="No delivery.">
            <p>No target subscribes to it, or no such target receives its verdict.</p>
          </Empty>
        )}
        {found.deliveries.map((delivery) => (
          <ExplainedDelivered key={delivery.id} delivery={delivery} />
        ))}
      </Section>
      {found.sightings.length > 0 && <Diffs sightings={found.sightings} />}
      {released.value && (
        <ReleaseDialog item={released.value} onClose={() => (released.value = null)} onDone={reload} />
      )}
    </>
  );
}

/** One sentence: the newest verdict, and what became of it. */
function Summary({ found }: { readonly found: Explanation }) {
  const newest = found.sightings.at(-1);
  return (
    <p class="sentence">
      {newest && <VerdictBadge verdict={newest.verdict} rule={newest.rule} held={newest.held} />}{' '}
      <Pieces pieces={summaryOf(found)} />
    </p>
  );
}

function Sightings({ sightings }: { readonly sightings: readonly Sighting[] }) {
  return (
    <Section title={`Sightings (${sightings.length})`}>
      {sightings.length === 0 && <Empty title="No webhook has carried it." />}
      <ol class="plain-list sightings">
        {[...sightings].reverse().map((sighting) => (
          <li key={sighting.id}>
            <p>
              <VerdictBadge verdict={sighting.verdict} rule={sighting.rule} held={sighting.held} />{' '}
              <Time at={sighting.seen_at} />
            </p>
            <p>
              Rule {sighting.rule}: {sighting.reason}.
            </p>
            <Evidence evidence={sighting.evidence} />
            <p class="dim">
              <Pieces pieces={placeOf(sighting)} />
            </p>
          </li>
        ))}
      </ol>
    </Section>
  );
}

/** Resyncs and audits that know the message. */
function Runs({ found }: { readonly found: Explanation }) {
  const runs = runsOf(found);
  if (runs.length === 0) return null;
  return (
    <Section title="Resyncs and audits">
      <ul class="plain-list">
        {runs.map((run, index) => (
          <li key={String(index)}>
            <Pieces pieces={run} />
          </li>
        ))}
      </ul>
    </Section>
  );
}

function ExplainedDelivered({ delivery }: { readonly delivery: ExplainedDelivery }) {
  return (
    <article class="card">
      <h3>
        <Status status={delivery.status} /> to <TargetLink id={delivery.target} />{' '}
        <IdLink page="deliveries" id={delivery.id} />
        {delivery.released && <Badge tone="quiet">released</Badge>}
      </h3>
      {delivery.waiting !== null && (
        <p>
          Waits for <WaitsFor delivery={delivery} />: {delivery.waiting} <Expiry delivery={delivery} />
        </p>
      )}
      <Facts
        facts={[
          ['Recorded', <Time key="recorded" at={delivery.created_at} />],
          delivery.settled_at !== null && ['Settled', <Time key="settled" at={delivery.settled_at} />],
          delivery.last_error !== null && labelledReason(delivery.last_error),
        ]}
      />
      <Attempts attempts={delivery.log} />
    </article>
  );
}

/** The webhooks that carried it, the newest first, with what was cut for each target. */
function Diffs({ sightings }: { readonly sightings: readonly Sighting[] }) {
  const ids = [...new Set([...sightings].reverse().map(({ webhook }) => webhook))];
  const chosen = useSignal(ids[0] ?? '');
  return (
    <Section
      title="The webhook as it came, and what each target got"
      actions={
        ids.length > 1 && (
          <Select
            name="webhook"
            label="Webhook"
            options={ids.map((id) => ({ value: id, text: id }))}
            value={chosen.value}
            onChange={(id) => (chosen.value = id)}
          />
        )
      }
    >
      <WebhookDiff key={chosen.value} id={chosen.value} />
    </Section>
  );
}
