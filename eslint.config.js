import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Rules of the house that a type checker does not know (docs/ARCHITECTURE.md in short: one owner for each outside thing). */
const timeAndChance = [
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: 'Take the time from effects.now().',
  },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Take the time from effects.now().' },
  {
    selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
    message: 'Take chance from effects.random().',
  },
];
const noDefaultExport = { selector: 'ExportDefaultDeclaration', message: 'Named exports only: a thing has one name.' };

export default defineConfig(
  { ignores: ['dist', 'data', 'node_modules'] },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      // Our interfaces are made of closures, which do not mind being handed on; no method of a class is.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/return-await': ['error', 'always'],
      'no-console': 'error',
    },
  },
  {
    files: ['src/**'],
    rules: { 'no-restricted-syntax': ['error', ...timeAndChance, noDefaultExport] },
  },
  {
    // A route fits on a screen: one function per operation, or for a few small ones, given what it needs.
    files: ['src/http/**'],
    rules: { 'max-lines-per-function': ['error', { max: 50, skipBlankLines: true, skipComments: true }] },
  },
  // The page's clock: everything it shows of time comes from there.
  {
    files: ['src/effects.ts', 'src/dashboard/time.tsx'],
    rules: { 'no-restricted-syntax': ['error', noDefaultExport] },
  },
  {
    files: ['**/*.js'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        fetch: 'readonly',
        requestAnimationFrame: 'readonly', // in what a bench runs in a page
        Buffer: 'readonly',
        performance: 'readonly',
      },
    },
    rules: { 'no-console': 'off' },
  },
);
