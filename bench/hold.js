import { setImmediate } from 'node:timers';

/** The longest time between two turns of the event loop while `work` runs, and how long it takes, in ms. */
export async function holdOf(work) {
  const startedAt = performance.now();
  let longest = 0;
  let last = startedAt;
  let isOver = false;
  const turn = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  isOver = true;
  turn();
  return { hold: longest, total: performance.now() - startedAt };
}
