import type { Effects } from './effects.js';

/** Calls within `ms` of the one before share its outcome, also if it failed. */
export function atMostEvery<T>(
  ms: number,
  effects: Pick<Effects, 'monotonic'>,
  call: () => Promise<T>,
): () => Promise<T> {
  let last: { readonly at: number; readonly outcome: Promise<T> } | null = null;
  return async () => {
    const now = effects.monotonic();
    if (last === null || now - last.at >= ms) last = { at: now, outcome: call() };
    return await last.outcome;
  };
}
