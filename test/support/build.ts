import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Tests start the real process, so the build must match the sources. */
export function setup(): void {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  execFileSync('npm', ['run', '-s', 'build'], { cwd: root, stdio: 'inherit' });
}
