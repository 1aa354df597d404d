/** Random values from a seed: the same seed and number give the same case, whatever ran before. */
export function chanceOf(seed, number) {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0;
  /** From 0 (included) to 1 (excluded): mulberry32. */
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count) => Math.floor(next() * count);
  const pick = (list) => list[below(list.length)];
  /** Picks from pairs of a weight and a function, and returns the function's result. */
  const weighted = (pairs) => {
    let at = next() * pairs.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, make] of pairs) if ((at -= weight) < 0) return make();
    return pairs.at(-1)[1]();
  };
  return { next, below, pick, weighted, isOneIn: (count) => below(count) === 0 };
}
