import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DOCUMENTS = [
  ...readdirSync(ROOT),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map((path) => join('docs', path)),
].filter((path) => path.endsWith('.md'));

it.each(DOCUMENTS)('%s names only files that exist, and links only to headings that exist', (document) => {
  const text = readFileSync(join(ROOT, document), 'utf8');
  expect(filesIn(text).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  expect(linksIn(text).filter((link) => !leadsSomewhere(document, link))).toEqual([]);
});

/** What a text calls `src/…`, `test/…` and so on, in backticks. */
function filesIn(text: string): string[] {
  return [...text.matchAll(/`((?:src|test|bench|deploy|docs|migrations)\/[\w./-]+)`/g)]
    .map(([, path = '']) => path)
    .filter((path) => !path.includes('NNNN'));
}

function linksIn(text: string): string[] {
  return [...text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link = '']) => link);
}

function leadsSomewhere(from: string, link: string): boolean {
  const [path = '', heading] = link.split('#');
  const target = path === '' ? join(ROOT, from) : resolve(ROOT, dirname(from), path);
  if (!existsSync(target)) return false;
  return heading === undefined || headingsOf(readFileSync(target, 'utf8')).includes(heading);
}

/** The anchors of a document's headings, as GitHub makes them. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
}
