import { signal } from '@preact/signals';
import { Dialog } from './dialog.js';
import { Check } from './form.js';
import { go, href, PAGES } from './routes.js';
import { setShortcuts, shortcuts, toggleTheme } from './theme.js';

/** The keyboard: single keys for what the mouse does. They rest while a person types or a dialog is open. */

export const helpShown = signal(false);
const KEYS: readonly (readonly [keys: string, meaning: string])[] = [
  ['?', 'show these keys'],
  ['j  k', 'next and previous row'],
  ['Enter', 'open the row'],
  ['/', 'go to the first filter or search field'],
  ['n', 'the main action of the page: add, start, release'],
  ['p', 'pause or resume the live feed'],
  ['t', 'dark or light'],
  ['Esc', 'close a dialog'],
];

const GO_MS = 1500;
let goUntil = 0;

export function listenForKeys(): void {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !shortcuts.value || isTyping(event)) return;
    if (document.querySelector('dialog[open]') !== null) return;
    if (handle(event.key, event.timeStamp)) event.preventDefault();
  });
}

function isTyping({ target }: Event): boolean {
  return (
    target instanceof HTMLElement && target.matches('input:not([type=checkbox]), textarea, select, [contenteditable]')
  );
}

/** Does what a key means; says whether it means something. */
function handle(key: string, at: number): boolean {
  if (goUntil > at) {
    goUntil = 0;
    const page = PAGES.find((each) => each.key === key);
    if (page) go(href(page.page));
    return page !== undefined;
  }
  switch (key) {
    case 'g':
      goUntil = at + GO_MS;
      return true;
    case '?':
      helpShown.value = true;
      return true;
    case 't':
      toggleTheme();
      return true;
    case 'j':
      return moveRow(1);
    case 'k':
      return moveRow(-1);
    case '/':
      return focus(document.querySelector('main :is(input, select, textarea)'));
    case 'n':
      return press('main [data-key=n]') || press('main .filter-actions .primary');
    case 'p':
      return press('main [data-key=p]');
    default:
      return false;
  }
}

function moveRow(by: 1 | -1): boolean {
  const links = [...document.querySelectorAll<HTMLElement>('main tbody tr')].flatMap((row) => {
    const link = row.querySelector<HTMLElement>('a, button');
    return link === null ? [] : [{ row, link }];
  });
  const current = links.findIndex(({ row }) => row.contains(document.activeElement));
  const next =
    current === -1 ? (by === 1 ? 0 : links.length - 1) : Math.min(Math.max(current + by, 0), links.length - 1);
  return focus(links[next]?.link ?? null);
}

function focus(element: HTMLElement | null): boolean {
  element?.focus();
  element?.scrollIntoView({ block: 'nearest' });
  return element !== null;
}

function press(selector: string): boolean {
  const button = document.querySelector<HTMLElement>(selector);
  button?.click();
  return button !== null;
}

export function KeyHelp() {
  if (!helpShown.value) return null;
  return (
    <Dialog title="Keys" onClose={() => (helpShown.value = false)} wide>
      <div class="columns">
        <dl class="keys">
          {KEYS.map(([keys, meaning]) => (
            <KeyLine key={keys} keys={keys} meaning={meaning} />
          ))}
        </dl>
        <dl class="keys">
          {PAGES.map(({ key, title }) => (
            <KeyLine key={key} keys={`g ${key}`} meaning={title} />
          ))}
        </dl>
      </div>
      <Check name="shortcuts" label="Single keys act" checked={shortcuts.value} onChange={setShortcuts} />
    </Dialog>
  );
}

function KeyLine({ keys, meaning }: { readonly keys: string; readonly meaning: string }) {
  return (
    <div>
      <dt>
        {keys.split(/\s+/).map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dt>
      <dd>{meaning}</dd>
    </div>
  );
}
