import type { ComponentChildren } from 'preact';

export type Fact = readonly [label: string, value: ComponentChildren] | null | false;

/** Names and values of one thing. Null and false leave a line out. */
export function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <dl class="facts">
      {facts
        .filter((fact): fact is readonly [string, ComponentChildren] => fact !== null && fact !== false)
        .map(([label, value], index) => (
          <div key={`${label} ${index}`}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

interface SectionProps {
  readonly title: string;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}

export function Section({ title, actions, children }: SectionProps) {
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>{title}</h2>
        {actions && <div class="head-actions">{actions}</div>}
      </div>
      {children}
    </section>
  );
}

interface TileProps {
  readonly label: string;
  readonly value: ComponentChildren;
  /** The rows that it counts. */
  readonly href?: string;
  readonly note?: ComponentChildren;
  readonly tone?: 'good' | 'warn' | 'bad' | undefined;
}

/** A number that says what it counts, and leads to the rows. */
export function Tile({ label, value, href, note, tone }: TileProps) {
  return (
    <div class={`tile ${tone ?? ''}`}>
      <span class="tile-label">{label}</span>
      <span class="tile-value num">{href === undefined ? value : <a href={href}>{value}</a>}</span>
      {note && <span class="dim tile-note">{note}</span>}
    </div>
  );
}
