/** What the items of one webhook about one object add to what was recorded about it before. */
export interface Repetitions {
  /** Of each item whether it repeats what was recorded last. */
  readonly isRepetition: readonly boolean[];
  /** What is recorded last about the object now; null: as before. */
  readonly last: readonly string[] | null;
}

/**
 * Tells Whapi's retry from a second genuine event about the same object (rule 13). Joins, mutes and labels carry no time:
 * join, leave, join are three events, though the third has the bytes of the first. So an item repeats only what came
 * last: `before` are the fingerprints of the items of the newest webhook that told something else, and `now` those of
 * this one. A webhook that begins as `before` ends has told that part already; so a retry of several items about one
 * object is one as a whole.
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

/** The length of the longest end of `before` that `told` begins with. */
function overlapLength(before: readonly string[], told: readonly string[]): number {
  for (let length = Math.min(before.length, told.length); length > 0; length -= 1) {
    const start = before.length - length;
    if (before.slice(start).every((fingerprint, at) => fingerprint === told[at])) return length;
  }
  return 0;
}
