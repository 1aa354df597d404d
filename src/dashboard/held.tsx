import { useSignal } from '@preact/signals';
import type { Item } from '../contract/items.js';
import { CurlButton } from './copy.js';
import { channelFilter, eventFilter, FilterBar, rangeFilters, verdictFilter } from './filters.js';
import type { Filter } from './filters.js';
import { BulkRelease, ITEM_COLUMNS } from './item-table.js';
import { useFeedReload } from './live-list.js';
import { useList } from './loading.js';
import { channels } from './names.js';
import { Empty } from './notice.js';
import { ReleaseDialog } from './release.js';
import { href, queryOf, queryText, route } from './routes.js';
import { PageHead } from './shell.js';
import { ListTable } from './table.js';
import type { Column } from './table.js';

const FILTERS = ['channel', 'verdict', 'event', 'resync', 'message_id', 'since', 'until'];
const HELD: Filter = {
  name: 'held',
  label: 'Show',
  kind: 'choice',
  any: 'held items',
  options: [
    { value: 'false', text: 'items not held' },
    { value: 'any', text: 'every item' },
  ],
};
const MORE: readonly Filter[] = [
  { name: 'message_id', label: 'Message id', kind: 'text' },
  { name: 'resync', label: 'Resync', kind: 'text' },
];

export function Held() {
  const filter = queryOf(FILTERS);
  const shown = route.value.query.get('held') ?? 'true';
  const query = { ...filter, ...(shown !== 'any' && { held: shown }) };
  const list = useList<Item>('v1/items', query);
  const released = useSignal<Item | null>(null);
  useFeedReload(list, ({ webhooks }) => webhooks.length > 0);
  const columns: readonly Column<Item>[] = [
    ...ITEM_COLUMNS,
    {
      head: 'Release',
      kind: 'actions',
      cell: (item) =>
        item.held ? (
          <button type="button" class="small" onClick={() => (released.value = item)}>
            Release …
          </button>
        ) : null,
    },
  ];
  return (
    <>
      <PageHead title={shown === 'true' ? 'Held items' : 'Items'}>
        <CurlButton path={`v1/items${queryText(query)}`} />
      </PageHead>
      <FilterBar filters={[HELD, channelFilter(), verdictFilter, eventFilter, ...MORE, ...rangeFilters]}>
        {shown === 'true' && <BulkRelease filter={filter} onDone={list.reload} />}
      </FilterBar>
      <ListTable
        caption="Items"
        list={list}
        columns={columns}
        keyOf={({ id }) => id}
        empty={<NoItems held={shown === 'true'} />}
      />
      {released.value && (
        <ReleaseDialog item={released.value} onClose={() => (released.value = null)} onDone={list.reload} />
      )}
    </>
  );
}

function NoItems({ held }: { readonly held: boolean }) {
  if (channels.value?.length === 0) {
    return (
      <Empty title="Nothing here: there is no channel yet.">
        <a href={href('channels')}>Add a channel</a>
      </Empty>
    );
  }
  const filtered = [...route.value.query.keys()].some((name) => name !== 'held');
  if (filtered) return <Empty title="No item matches these filters." />;
  return held ? (
    <Empty title="Nothing is held.">
      <p>Items that a target does not get because of their verdict wait here until you release them.</p>
    </Empty>
  ) : (
    <Empty title="No items yet.">
      <p>
        The elements of webhooks appear here as Whapi sends them. Check that the <a href={href('channels')}>channels</a>{' '}
        are connected.
      </p>
    </Empty>
  );
}
