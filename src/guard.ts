import dns from 'node:dns';
import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import type { TargetNetworks } from './target-networks.js';

/** Resolves a host name to all its addresses, as `dns.lookup` does. */
export type Lookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Restricts targets and Whapi to TARGET_NETWORKS, in the same way when a URL is saved and at each connection. */
export interface Guard {
  /** Why a URL is not allowed, as far as it can be told without a DNS lookup; null if it is allowed. */
  refusalOf(url: URL): AddressNotAllowed | null;
  /** For connections: returns the allowed addresses of a host name and fails if there are none. */
  readonly lookup: LookupFunction;
}

export class AddressNotAllowed extends Error {
  constructor(what: string) {
    super(`${what} is not an address that TARGET_NETWORKS allows.`);
    this.name = 'RefusedAddress';
  }
}

/** @param lookup defaults to the system's resolver */
export function createGuard(networks: TargetNetworks, lookup: Lookup = systemLookup): Guard {
  return {
    // A host that is an IP address is connected to without a lookup, so it is checked here. URL has normalized decimal,
    // octal, hexadecimal and short forms, full-width digits and a trailing dot.
    refusalOf: (url) => {
      const host = url.hostname.replace(/^\[|\]$/g, '');
      return isIP(host) !== 0 && !networks.allows(host) ? new AddressNotAllowed(host) : null;
    },
    // Checks the addresses that are connected to, not the name: DNS may answer differently after the URL was saved.
    lookup: (hostname, options, callback) => {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        const allowed = error ? [] : addresses.filter(({ address }) => networks.allows(address));
        const [first] = allowed;
        if (error) (callback as (error: Error) => void)(error);
        else if (!first)
          (callback as (error: Error) => void)(new AddressNotAllowed(`${hostname} (${listed(addresses)})`));
        else if (options.all) callback(null, allowed);
        else callback(null, first.address, first.family);
      });
    },
  };
}

const systemLookup: Lookup = (hostname, options, callback) => dns.lookup(hostname, options, callback);

function listed(addresses: readonly LookupAddress[]): string {
  return addresses.map(({ address }) => address).join(', ');
}
