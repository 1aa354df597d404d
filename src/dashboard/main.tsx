import { render } from 'preact';
import type { ComponentType } from 'preact';
import { checkSession, loggedIn, wordsOf } from './api.js';
import { startFeed } from './feed.js';
import { lazy } from './lazy.js';
import { KeyHelp, listenForKeys } from './keys.js';
import { Login } from './login.js';
import { loadChannels, loadTargets } from './names.js';
import { announce, Announcements, Empty } from './notice.js';
import { Overview } from './overview.js';
import { href, route } from './routes.js';
import { Shell } from './shell.js';

const PAGES: Readonly<Record<string, ComponentType>> = {
  overview: Overview,
  live: lazy(async () => (await import('./feed-page.js')).Live),
  explain: lazy(async () => (await import('./explain.js')).Explain),
  held: lazy(async () => (await import('./held.js')).Held),
  resyncs: lazy(async () => (await import('./resyncs.js')).Resyncs),
  targets: lazy(async () => (await import('./targets.js')).Targets),
  deliveries: lazy(async () => (await import('./deliveries.js')).Deliveries),
  channels: lazy(async () => (await import('./channels.js')).Channels),
  audits: lazy(async () => (await import('./audits.js')).Audits),
  'dry-run': lazy(async () => (await import('./dry-run.js')).DryRun),
  webhooks: lazy(async () => (await import('./webhook.js')).WebhookPage),
};

function App() {
  if (loggedIn.value === null) return <p class="loading dim">Loading …</p>;
  if (!loggedIn.value) return <Login />;
  const Page = PAGES[route.value.page] ?? NoSuchPage;
  return (
    <>
      <Shell>
        <Page />
      </Shell>
      <KeyHelp />
    </>
  );
}

function NoSuchPage() {
  return (
    <>
      <h1 tabIndex={-1}>No such page</h1>
      <Empty title={`There is no page "${route.value.page}".`}>
        <a href={href('overview')}>Go to the overview</a>
      </Empty>
    </>
  );
}

function Root() {
  return (
    <>
      <App />
      <Announcements />
    </>
  );
}

const place = document.getElementById('app');
if (place) render(<Root />, place);
listenForKeys();
startFeed();
loggedIn.subscribe((isIn) => {
  if (isIn !== true) return;
  Promise.all([loadChannels(), loadTargets()]).catch((error: unknown) => announce(wordsOf(error), 'bad'));
});
void checkSession();
