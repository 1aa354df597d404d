import { asGatewayError } from './database.js';

/** Runs a read outside any transaction. @throws GatewayError GW_STORE_UNAVAILABLE when the machine fails */
export async function read<T>(query: () => T | Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    throw asGatewayError(error);
  }
}
