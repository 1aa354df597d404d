import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** An empty folder that is removed after the test. */
export function temporaryFolder(parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'gateway-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The same in memory, if the machine supports it, for tests with so many commits that the disk would dominate. */
export function temporaryFolderInMemory(): string {
  return temporaryFolder(existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
}

const fixturesFolder = fileURLToPath(new URL('../fixtures/', import.meta.url));

/** A payload as Whapi documents it, by its name: `messages.post.text`. */
export function samplePayload(name: string): Buffer {
  return readFileSync(join(fixturesFolder, `${name}.json`));
}

/** The names of all documented webhook payloads. */
export function fixtureNames(): string[] {
  return readdirSync(fixturesFolder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => basename(file, '.json'));
}
