/** The name of the command when it is installed. */
export const COMMAND = 'whapi-resync-gateway';

const VIA_NPX = `npx ${COMMAND}`;
const VIA_SCRIPT = 'npm run -s cli --';

/** Scripts of this repository that start a program from `dist`. Their readers use the quick start's commands, with npx. */
const OTHER_SCRIPTS = ['start', 'demo', 'simulate'];

/** What tells how the program was called: `process.argv[1]`, and npm's own variables in the environment. */
export interface Invocation {
  readonly path: string | undefined;
  /** `npm_lifecycle_event`: the script that npm runs, or `npx`. */
  readonly npmScript: string | undefined;
}

/**
 * How the reader of a hint has to call the command line: `npx whapi-resync-gateway`, `npm run -s cli --`, or
 * `whapi-resync-gateway`.
 *
 * The path comes first, because npm's variables also reach every program that a script starts. npm links the command in
 * `node_modules/.bin`, for npx in its cache `_npx`. On Windows its shim passes the path inside `node_modules` instead.
 */
export function programName({ path = '', npmScript }: Invocation): string {
  const parts = path.split(/[/\\]/);
  const isInstalled = parts.includes('node_modules');
  const isLinked = parts.at(-1) === COMMAND;
  if (parts.includes('_npx') || (isInstalled && parts.includes('.bin'))) return VIA_NPX;
  if (isInstalled || isLinked) return npmScript === 'npx' ? VIA_NPX : COMMAND;
  if (npmScript === 'cli') return VIA_SCRIPT;
  return OTHER_SCRIPTS.includes(npmScript ?? '') ? VIA_NPX : COMMAND;
}

/** How this process was called. */
export const PROGRAM_NAME = programName({
  path: process.argv[1],
  npmScript: process.env['npm_lifecycle_event'],
});
