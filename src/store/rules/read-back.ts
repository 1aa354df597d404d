import { GatewayError } from '../../errors.js';

/** The view of a row that this operation has just committed. @throws GatewayError GW_INTERNAL when it is missing */
export function readBack<T>(view: T | null): T {
  if (view === null) throw new GatewayError('GW_INTERNAL', 'The row that was just written could not be read.');
  return view;
}
