import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

const FOLDER = fileURLToPath(new URL('../../dist/dashboard/', import.meta.url));
const MOST_BYTES = 60_000;

const page = readFileSync(`${FOLDER}page.html`, 'utf8');
/** What the browser loads before the first page shows. */
const firstFiles = [...page.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(([, path = '']) => path);
const compressed = (text: string | Buffer): number => gzipSync(text).length;

describe('the built dashboard', () => {
  it('loads less than 60 kB, compressed, before its first page shows', () => {
    expect(firstFiles.some((path) => path.endsWith('.js'))).toBe(true);
    const sizes = firstFiles.map((path) => compressed(readFileSync(FOLDER + path)));
    expect(sizes.reduce((sum, size) => sum + size, compressed(page))).toBeLessThan(MOST_BYTES);
  });

  it('has no script or style in the page itself, and nothing from another host', () => {
    expect(page).not.toMatch(/<script(?![^>]*src=)|<style| style=| on\w+=|javascript:/i);
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
    const styles = readdirSync(`${FOLDER}assets`).filter((name) => name.endsWith('.css'));
    expect(styles.length).toBeGreaterThan(0);
    for (const name of styles) expect(readFileSync(`${FOLDER}assets/${name}`, 'utf8')).not.toMatch(/url\(|@import/);
  });

  it('uses relative addresses, so that it works behind a proxy with a prefix', () => {
    const scripts = readdirSync(`${FOLDER}assets`).filter((name) => name.endsWith('.js'));
    for (const name of scripts)
      expect(readFileSync(`${FOLDER}assets/${name}`, 'utf8')).not.toMatch(/["'`]\/(v1|session|assets)\b/);
  });
});
