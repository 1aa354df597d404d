import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { logOut } from './api.js';
import { feedState } from './feed.js';
import type { FeedState } from './feed.js';
import { helpShown } from './keys.js';
import { href, PAGES, route } from './routes.js';
import { theme, toggleTheme } from './theme.js';

const FEED_WORDS: Readonly<Record<FeedState, readonly [text: string, title: string]>> = {
  live: ['live', 'The feed is connected: changes appear automatically.'],
  connecting: ['connecting', 'The feed is connecting.'],
  lost: ['reconnecting', 'The feed lost its connection and reconnects automatically.'],
  off: ['off', 'The feed is off while this tab is hidden.'],
};

/** The frame around every page: where to go, the state of the feed, theme, keys, log out. */
export function Shell({ children }: { readonly children: ComponentChildren }) {
  const menu = useSignal(false);
  const { page } = route.value;
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const place = `${page}/${route.value.rest.join('/')}`;
  useEffect(() => {
    menu.value = false;
    if (isFirst.current) isFirst.current = false;
    else {
      window.scrollTo(0, 0);
      main.current?.querySelector('h1')?.focus();
    }
  }, [place]);
  return (
    <div class="shell">
      <a class="skip" href="#content" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={href('overview')}>
          <span class="mark" aria-hidden="true" />
          Resync gateway
        </a>
        <button
          type="button"
          class="menu-button small"
          aria-expanded={menu.value}
          aria-controls="pages"
          onClick={() => (menu.value = !menu.value)}
        >
          Menu
        </button>
        <nav id="pages" aria-label="Pages" class={menu.value ? 'open' : undefined}>
          <ul>
            {PAGES.map(({ page: name, title, key }) => (
              <li key={name}>
                <a href={href(name)} aria-current={page === name ? 'page' : undefined} title={`g ${key}`}>
                  {title}
                </a>
              </li>
            ))}
          </ul>
          <FeedLight />
          <div class="tools">
            <button type="button" class="plain" onClick={toggleTheme} title="t">
              {theme.value === 'dark' ? 'Light' : 'Dark'}
            </button>
            <button type="button" class="plain" onClick={() => (helpShown.value = true)} title="?">
              Keys
            </button>
            <button type="button" class="plain" onClick={() => void logOut()}>
              Log out
            </button>
          </div>
        </nav>
      </header>
      <main id="content" ref={main} tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function FeedLight() {
  const [text, title] = FEED_WORDS[feedState.value];
  return (
    <p class="feed-light" title={title} data-feed={feedState.value}>
      <span class={`dot ${feedState.value}`} aria-hidden="true" /> Feed {text}
    </p>
  );
}

interface HeadProps {
  readonly title: string;
  /** Links to the pages above. */
  readonly above?: ComponentChildren;
  readonly children?: ComponentChildren;
}

/** The heading of a page, with its actions. */
export function PageHead({ title, above, children }: HeadProps) {
  useEffect(() => {
    document.title = `${title} – Resync gateway`;
  }, [title]);
  return (
    <div class="page-head">
      <div>
        {above && <p class="above">{above}</p>}
        <h1 tabIndex={-1}>{title}</h1>
      </div>
      {children && <div class="head-actions">{children}</div>}
    </div>
  );
}
