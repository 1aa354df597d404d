import { WebhookRecorder } from '../rules/recorder.js';
import type { RecordingRegistry } from '../rules/recording.js';
import { ReplayWatch } from '../../intake/replays.js';
import type { Db } from './database.js';
import type { DeliveryTables } from './delivery-tables.js';
import type { Ids } from './numbering.js';
import { knownTables } from './known.js';
import type { LedgerMemory } from './ledger-memory.js';
import { RecordedDeliveries } from './new-deliveries.js';
import type { Offers } from './offers.js';
import { RecordingTables } from './recording-tables.js';
import type { RegistryTables } from './registry-tables.js';

/** What the recorders of all connections share, besides the ledger's memory. */
export interface RecorderMemory {
  readonly offers?: Offers;
  readonly replays?: ReplayWatch;
}

/** The recorder of one connection. */
export function createRecorder(
  db: Db,
  ids: Ids,
  registry: RegistryTables,
  deliveries: DeliveryTables,
  ledger: LedgerMemory,
  { offers, replays = new ReplayWatch() }: RecorderMemory = {},
): WebhookRecorder {
  const { ids: rememberedIds, shown, known } = knownTables(db, ledger);
  return new WebhookRecorder({
    registry: recordingRegistry(registry),
    known,
    rows: new RecordingTables(db, registry, rememberedIds, shown),
    deliveries: new RecordedDeliveries(registry, deliveries, offers),
    replays,
    nextId: (now) => ids.next(now),
  });
}

export function recordingRegistry(registry: RegistryTables): RecordingRegistry {
  return { channel: (name) => registry.channels().get(name), targets: () => registry.targets().values() };
}
