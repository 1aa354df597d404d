import { describe } from 'vitest';
import type { OpenFixture } from '../../support/store.js';
import { auditsContract } from './audits.js';
import { bulkContract } from './bulk.js';
import { backlogContract } from './backlog.js';
import { paceContract } from './pace.js';
import { evidenceContract } from './evidence.js';
import { healthContract } from './health.js';
import { intakeContract } from './intake.js';
import { itemsContract } from './items.js';
import { joinedContract } from './joined.js';
import { loadContract } from './load.js';
import { orderContract } from './order.js';
import { outboxContract } from './outbox.js';
import { registryContract } from './registry.js';
import { releaseContract } from './release.js';
import { removalsContract } from './removals.js';
import { repetitionsContract } from './repetitions.js';
import { resyncsContract } from './resyncs.js';
import { rollupsContract } from './rollups.js';
import { runsContract } from './runs.js';
import { trafficContract } from './traffic.js';
import { upkeepContract } from './upkeep.js';
import { sharesContract } from './shares.js';
import { splitContract } from './split.js';
import { viewsContract } from './views.js';
import { windowsContract } from './windows.js';

/** The contract that every storage engine meets. `open` gives an empty store each time. */
export function storeContract(open: OpenFixture): void {
  describe('a storage engine', () => {
    intakeContract(open);
    repetitionsContract(open);
    outboxContract(open);
    sharesContract(open);
    orderContract(open);
    splitContract(open);
    releaseContract(open);
    backlogContract(open);
    paceContract(open);
    bulkContract(open);
    itemsContract(open);
    evidenceContract(open);
    resyncsContract(open);
    runsContract(open);
    joinedContract(open);
    windowsContract(open);
    auditsContract(open);
    registryContract(open);
    removalsContract(open);
    healthContract(open);
    viewsContract(open);
    loadContract(open);
    trafficContract(open);
    upkeepContract(open);
    rollupsContract(open);
  });
}
