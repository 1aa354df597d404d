import { lookup as dnsLookup } from 'node:dns';
import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import type { TargetNetworks } from './networks.js';

/** All addresses of a name, as `dns.lookup` gives them. */
export type Lookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Keeps targets within TARGET_NETWORKS: the same for a target that is saved, for its test and for each attempt. */
export interface Guard {
  /** Why a URL cannot be a target's, as far as it can be told without a look-up; null where it can. */
  refusalOf(url: URL): AddressNotAllowed | null;
  /** For connections: gives the allowed addresses of a name, and fails where it has none. */
  readonly lookup: LookupFunction;
}

export class AddressNotAllowed extends Error {
  constructor(what: string) {
    super(`${what} is not an address that TARGET_NETWORKS allows.`);
    this.name = 'RefusedAddress';
  }
}

export function createGuard(networks: TargetNetworks, lookup: Lookup = dnsLookup): Guard {
  return {
    // A host that is an address is connected to without a look-up, so it is judged here. URL has made one form of all:
    // decimal, octal, hexadecimal and short ones, full-width digits, a dot at the end.
    refusalOf: (url) => {
      const host = url.hostname.replace(/^\[|\]$/g, '');
      return isIP(host) !== 0 && !networks.allows(host) ? new AddressNotAllowed(host) : null;
    },
    // Judges the addresses that are connected to, not the name: a name may change its answer after the target was saved.
    lookup: (hostname, options, callback) => {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        const allowed = error ? [] : addresses.filter(({ address }) => networks.allows(address));
        const [first] = allowed;
        if (error) (callback as (error: Error) => void)(error);
        else if (!first) (callback as (error: Error) => void)(new AddressNotAllowed(`${hostname} (${listed(addresses)})`));
        else if (options.all) callback(null, allowed);
        else callback(null, first.address, first.family);
      });
    },
  };
}

function listed(addresses: readonly LookupAddress[]): string {
  return addresses.map(({ address }) => address).join(', ');
}
