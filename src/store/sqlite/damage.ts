import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./damage-check.js', import.meta.url));

/**
 * Reads all of a database that is in use, and resolves with the first damage found; null: none. Another process reads it,
 * not a thread of this one: SQLite cannot be interrupted while it checks a table, and a thread would hold up the shutdown
 * until it is done. An abort of `signal` ends it. Rejects if the check could not be made.
 */
export async function findDamage(file: string, signal: AbortSignal): Promise<string | null> {
  return await new Promise((resolve, reject) => {
    // Without the environment, which may hold secrets.
    const options = { env: {}, signal, killSignal: 'SIGKILL' } as const;
    execFile(process.execPath, [SCRIPT, file], options, (error, stdout, stderr) => {
      if (error) reject(new Error(`The check for damage failed: ${stderr.trim() || error.message}`, { cause: error }));
      else resolve((JSON.parse(stdout) as { damage: string | null }).damage);
    });
  });
}
