import { createGuard } from '../../src/guard.js';
import type { Guard, Lookup } from '../../src/guard.js';
import { parseTargetNetworks } from '../../src/target-networks.js';

/** The guard of a gateway with this TARGET_NETWORKS. */
export function guardOf(networks: string, lookup?: Lookup): Guard {
  return createGuard(parseTargetNetworks(networks), lookup);
}
