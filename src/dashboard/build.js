import { fileURLToPath } from 'node:url';
import { build } from 'vite';

/**
 * Bundles the page into dist/dashboard, from where the gateway serves it. URLs are relative, so that the page also works
 * behind a proxy with a prefix, and nothing is inlined, so that its content security policy can be strict.
 */
const folder = fileURLToPath(new URL('.', import.meta.url));

await build({
  root: folder,
  configFile: false,
  base: './',
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('../../dist/dashboard', import.meta.url)),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
    rollupOptions: { input: `${folder}page.html` },
  },
});
