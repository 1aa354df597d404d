import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cleanUp } from './cleanup.js';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const git = (...args) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/**
 * Builds the gateway of a commit in a git worktree of its own, which is removed when this process ends. Resolves with the
 * commit and the program to start.
 */
export async function checkout(commit) {
  const [id, subject] = git('log', '-1', '--format=%h%n%s', commit, '--').trim().split('\n');
  const folder = join(mkdtempSync(join(tmpdir(), 'gateway-bench-')), 'tree');
  cleanUp(() => {
    git('worktree', 'remove', '--force', folder);
    rmSync(join(folder, '..'), { recursive: true, force: true });
  });
  git('worktree', 'add', '--detach', folder, id);
  symlinkSync(await modulesFor(folder), join(folder, 'node_modules'));
  await run('npm', ['run', '--silent', 'build'], folder);
  return { id, subject, program: join(folder, 'dist/main.js') };
}

/** The packages that its lock file names: those of this tree if it is the same, else installed once for each lock file. */
async function modulesFor(folder) {
  const own = join(ROOT, 'node_modules');
  const lock = readFileSync(join(folder, 'package-lock.json'));
  if (lock.equals(readFileSync(join(ROOT, 'package-lock.json')))) return own;
  const kept = join(own, '.cache/bench', createHash('sha256').update(lock).digest('hex').slice(0, 16));
  if (!existsSync(kept)) await install(folder, kept);
  return join(kept, 'node_modules');
}

async function install(folder, kept) {
  const half = `${kept}.${process.pid}`;
  mkdirSync(half, { recursive: true });
  const removeHalf = cleanUp(() => rmSync(half, { recursive: true, force: true }));
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(folder, name), join(half, name));
  await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], half);
  renameSync(half, kept);
  removeHalf();
}

async function run(command, args, cwd) {
  console.error(`${command} ${args.join(' ')}`);
  // A process group of its own, so that what npm starts ends with it.
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
  const kill = cleanUp(() => child.exitCode ?? child.signalCode ?? process.kill(-child.pid, 'SIGKILL'));
  const [code] = await once(child, 'exit');
  kill();
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}.`);
}
