import { GatewayError } from '../../errors.js';
import { asGatewayError } from './database.js';

/** Runs a read outside any transaction. @throws GatewayError GW_STORE_UNAVAILABLE when the machine fails */
export async function read<T>(query: () => T | Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    throw asGatewayError(error);
  }
}

/** The view of a row that this operation has just committed. @throws GatewayError GW_INTERNAL when it is missing */
export function readBack<T>(view: T | null): T {
  if (view === null) throw new GatewayError('GW_INTERNAL', 'The row that was just written could not be read.');
  return view;
}
