import type { Command } from 'commander';
import { CommandError } from '../errors.js';
import type { Api } from './api.js';

export interface RemoveOptions {
  readonly yes?: boolean;
}

/** The option of commands that remove something which may have work under way. */
export function withYes(command: Command): Command {
  return command.option('--yes', 'remove it even if something is under way');
}

/** @param subject such as `Target bot`. @throws CommandError (without --yes: something is under way; it says what) */
export async function removeAt(api: Api, path: string, subject: string, { yes = false }: RemoveOptions): Promise<void> {
  try {
    await api.call('DELETE', yes ? `${path}?force=true` : path);
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'GW_UNDER_WAY') throw error;
    const numbers = error.fields.map(({ message }) => message).join(', ');
    const detail = `${subject} has work under way: ${numbers}. To remove it anyway, add --yes.`;
    throw new CommandError(error.code, detail, error.fields);
  }
}
