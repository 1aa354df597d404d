/** How the items of one webhook about one object compare with what was recorded about it before. */
export interface Repetitions {
  /** For each item, whether it repeats what was recorded last. */
  readonly isRepetition: readonly boolean[];
  /** What to record as last about the object now; null: unchanged. */
  readonly last: readonly string[] | null;
}

/**
 * Tells a retry of Whapi's from a second genuine event about the same object (rule 13). Joins, mutes and labels carry
 * no time: join, leave, join are three events, although the third has the same bytes as the first. So an item only
 * repeats what came last. `before` are the fingerprints of the latest webhook about the object that said something
 * else, `now` those of this one. If this webhook starts with what `before` ends with, that part is a repeat. So a retry
 * with several items about one object is recognized as a whole.
 */
export function repetitionsIn(before: readonly string[], now: readonly string[]): Repetitions {
  const isSameAsPrevious = now.map((fingerprint, at) => fingerprint === now[at - 1]);
  const distinct = now.filter((_, at) => isSameAsPrevious[at] === false);
  const repeated = overlapLength(before, distinct);
  let distinctSoFar = 0;
  const isRepetition = isSameAsPrevious.map((again) => {
    if (!again) distinctSoFar += 1;
    return again || distinctSoFar <= repeated;
  });
  return { isRepetition, last: repeated === distinct.length ? null : distinct };
}

/**
 * The length of the longest end of `before` that `distinct` starts with. Takes time in proportion to both (Knuth, Morris
 * and Pratt): a webhook may have thousands of items about one object.
 */
function overlapLength(before: readonly string[], distinct: readonly string[]): number {
  /** By length of a beginning of `distinct`: the length of its longest shorter beginning that is also its end. */
  const shorter = [0, 0];
  const extended = (length: number, fingerprint: string | undefined): number => {
    let matched = length;
    while (matched > 0 && distinct[matched] !== fingerprint) matched = shorter[matched] ?? 0;
    return distinct[matched] === fingerprint ? matched + 1 : 0;
  };
  for (let at = 1; at < distinct.length; at += 1) shorter.push(extended(shorter[at] ?? 0, distinct[at]));
  return before.reduce(extended, 0);
}
