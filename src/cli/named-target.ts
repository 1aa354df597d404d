import type { Target } from '../contract/targets.js';
import { CommandError, usageError } from '../errors.js';
import type { Api } from './api.js';
import { NAME } from './session.js';

/** The target with this id or name. @throws CommandError (there is none, or several have the name) */
export async function targetOf(api: Api, named: string): Promise<Target> {
  const targets = await api.list<Target>('/v1/targets');
  const found = targets.filter(({ id, name }) => id === named || name === named);
  const [only] = found;
  if (only && found.length === 1) return only;
  const ids = found.map(({ id }) => id).join(', ');
  if (only) throw usageError(`Several targets have the name "${named}". Use an id: ${ids}.`);
  throw new CommandError('GW_NOT_FOUND', `There is no target "${named}". To list them: ${NAME} targets list`);
}

/** The id of a target in a filter: an id as it is, for its target may be removed, or that of a name. @throws CommandError */
export async function targetIdOf(api: Api, named: string): Promise<string> {
  return named.startsWith('tgt_') ? named : (await targetOf(api, named)).id;
}
