import type { Encryption } from './encryption.js';
import type { Store } from './store/store.js';
import { unreadableSecrets } from './stored-secrets.js';

type StartLog = Readonly<Record<'error' | 'warn', (fields: object, name: string) => void>>;

/** Logs problems that do not stop the start. The doctor reports them too. */
export async function warnAtStart(store: Store, encryption: Encryption, log: StartLog): Promise<void> {
  // One that was changed or moved in the database stops its own channel or target only.
  for (const secret of await unreadableSecrets(store, encryption))
    log.error({ secret, fix: 'set it again, or restore a backup' }, 'stored secret does not open');
  const server = await store.server.facts();
  if (server?.synchronousCommit === 'local')
    log.warn(
      {
        synchronous_commit: 'local',
        fix: 'set synchronous_commit = on, and name the standby in synchronous_standby_names',
      },
      'commits do not wait for a standby, a failover may lose answered webhooks',
    );
}
