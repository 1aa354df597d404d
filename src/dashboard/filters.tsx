import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import type { Option } from './form.js';
import { channels, targets } from './names.js';
import { route, setQuery } from './routes.js';
import { fromLocalField, minutesAgo, toLocalField } from './time.js';

/** Filters of a list. Their state is the address, so a link, a reload and a new tab show the same rows. */
export interface Filter {
  readonly name: string;
  readonly label: string;
  readonly kind: 'choice' | 'text' | 'time';
  readonly options?: readonly Option[];
  /** What an unset choice is called. */
  readonly any?: string;
}

const RANGES = [
  { label: '1 h', minutes: 60 },
  { label: '24 h', minutes: 24 * 60 },
  { label: '7 d', minutes: 7 * 24 * 60 },
];

interface FilterBarProps {
  readonly filters: readonly Filter[];
  /** Buttons at the end: bulk work, copy as curl. */
  readonly children?: ComponentChildren;
}

export function FilterBar({ filters, children }: FilterBarProps) {
  const { query } = route.value;
  const isSet = filters.some(({ name }) => query.has(name));
  const hasSince = filters.some(({ name }) => name === 'since');
  return (
    <form class="filters" role="search" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      {filters.map((filter) => (
        <FilterField key={filter.name} filter={filter} value={query.get(filter.name) ?? ''} />
      ))}
      {hasSince && (
        <span class="ranges" role="group" aria-label="Last">
          {RANGES.map(({ label, minutes }) => (
            <button
              key={label}
              type="button"
              class="small"
              onClick={() => setQuery({ since: minutesAgo(minutes), until: '' })}
            >
              {label}
            </button>
          ))}
        </span>
      )}
      {isSet && (
        <button
          type="button"
          class="small"
          onClick={() => setQuery(Object.fromEntries(filters.map(({ name }) => [name, ''])))}
        >
          Clear
        </button>
      )}
      {children && <span class="filter-actions">{children}</span>}
    </form>
  );
}

function FilterField({ filter, value }: { readonly filter: Filter; readonly value: string }) {
  const { name, label, kind, options = [], any = 'any' } = filter;
  const id = useId();
  const set = (text: string): void => setQuery({ [name]: text.trim() });
  return (
    <span class={`filter ${kind}`}>
      <label htmlFor={id}>{label}</label>
      {kind === 'choice' ? (
        <select id={id} value={value} onChange={({ currentTarget }) => set(currentTarget.value)}>
          <option value="">{any}</option>
          {withCurrent(options, value).map((option) => (
            <option key={option.value} value={option.value}>
              {option.text}
            </option>
          ))}
        </select>
      ) : kind === 'time' ? (
        <input
          id={id}
          type="datetime-local"
          step="1"
          value={toLocalField(value)}
          onChange={({ currentTarget }) => set(fromLocalField(currentTarget.value))}
        />
      ) : (
        <input
          id={id}
          type="search"
          value={value}
          autoComplete="off"
          spellcheck={false}
          onChange={({ currentTarget }) => set(currentTarget.value)}
        />
      )}
    </span>
  );
}

/** A value of the address that is not among the options (a target that was removed) still shows. */
const withCurrent = (options: readonly Option[], value: string): readonly Option[] =>
  value === '' || options.some((option) => option.value === value) ? options : [...options, { value, text: value }];

export const choices = (values: readonly string[]): Option[] =>
  values.map((value) => ({ value, text: value.replaceAll('_', ' ') }));

export const channelFilter = (): Filter => ({
  name: 'channel',
  label: 'Channel',
  kind: 'choice',
  options: choices((channels.value ?? []).map(({ name }) => name)).map(({ value }) => ({ value, text: value })),
});

export const targetFilter = (): Filter => ({
  name: 'target',
  label: 'Target',
  kind: 'choice',
  options: (targets.value ?? []).map(({ id, name }) => ({ value: id, text: name })),
});

export const eventFilter: Filter = { name: 'event', label: 'Event', kind: 'text' };
export const rangeFilters: readonly Filter[] = [
  { name: 'since', label: 'Since', kind: 'time' },
  { name: 'until', label: 'Until', kind: 'time' },
];
export const verdictFilter: Filter = {
  name: 'verdict',
  label: 'Verdict',
  kind: 'choice',
  options: choices(['new', 'late', 'restored', 'duplicate', 'event']),
};
