import type { Delivery } from '../contract/deliveries.js';
import type { RetrySurvey } from '../contract/jobs.js';
import { BulkButton } from './bulk.js';
import { CurlButton } from './copy.js';
import { DELIVERY_COLUMNS, DeliveryTable } from './delivery-table.js';
import { DeliveryPage } from './delivery.js';
import { channelFilter, choices, eventFilter, FilterBar, rangeFilters, targetFilter } from './filters.js';
import { useFeedReload } from './live-list.js';
import { useList } from './loading.js';
import { targets } from './names.js';
import { Empty } from './notice.js';
import { href, queryOf, queryText, route } from './routes.js';
import { PageHead } from './shell.js';
import { ListTable } from './table.js';

const FILTERS = ['status', 'target', 'channel', 'event', 'since', 'until'];
const STATUS = {
  name: 'status',
  label: 'Status',
  kind: 'choice',
  options: choices(['pending', 'delivered', 'dead', 'expired', 'superseded', 'answered', 'withheld']),
} as const;
const RETRIED = new Set(['dead', 'expired', 'delivered', 'superseded', 'answered', 'withheld']);

export function Deliveries() {
  const [id] = route.value.rest;
  return id === undefined ? <DeliveryList /> : <DeliveryPage key={id} id={id} />;
}

function DeliveryList() {
  const filter = queryOf(FILTERS);
  const list = useList<Delivery>('v1/deliveries', filter);
  useFeedReload(list, ({ deliveries }) => deliveries.length > 0);
  const { status } = filter;
  return (
    <>
      <PageHead title="Deliveries">
        <CurlButton path={`v1/deliveries${queryText(filter)}`} />
      </PageHead>
      <FilterBar filters={[STATUS, targetFilter(), channelFilter(), eventFilter, ...rangeFilters]}>
        {status !== undefined && RETRIED.has(status) ? (
          <BulkButton<RetrySurvey>
            path="v1/deliveries/retry"
            filter={filter}
            verb="Retry"
            things={`${status} deliveries`}
            sample={({ sample }) => <DeliveryTable caption="Sample of the deliveries" rows={sample} />}
            onDone={list.reload}
          />
        ) : (
          <span class="dim">Choose how they ended (dead, expired, …) to retry many.</span>
        )}
      </FilterBar>
      <ListTable
        caption="Deliveries"
        list={list}
        columns={DELIVERY_COLUMNS}
        keyOf={({ id }) => id}
        empty={<NoDeliveries />}
      />
    </>
  );
}

function NoDeliveries() {
  if (route.value.query.size > 0) return <Empty title="No delivery matches these filters." />;
  if (targets.value?.length === 0) {
    return (
      <Empty title="No deliveries: there is no target yet.">
        <a href={href('targets')}>Add a target</a>
      </Empty>
    );
  }
  return (
    <Empty title="No deliveries yet.">
      <p>
        Each webhook creates one delivery per target that takes it. If there are none, check the{' '}
        <a href={href('channels')}>channels</a>.
      </p>
    </Empty>
  );
}
