import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorText, StartError } from '../../errors.js';
import { PRIVATE_FOLDER } from '../../private-files.js';

/**
 * Creates the folder of a file and those above it, one by one: Node's recursive mkdir never returns for a folder that
 * exists and in which none can be made, such as /proc. @throws StartError GW_STORE_UNUSABLE
 */
export function makeFolderOf(file: string): void {
  const missing: string[] = [];
  try {
    for (let folder = dirname(file); !isFolder(folder); folder = dirname(folder)) missing.unshift(folder);
    for (const folder of missing) mkdirSync(folder, { mode: PRIVATE_FOLDER });
  } catch (error) {
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `Cannot create the folder of ${file}: ${errorText(error)}. Choose another place with DATABASE_URL, for example ` +
        'DATABASE_URL=sqlite:./data/gateway.db.',
      { cause: error },
    );
  }
}

/** Not a file: making a folder of its name is refused with the reason. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
