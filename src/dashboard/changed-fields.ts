/** The fields whose value differs from the stored one. A form sends only these, so that it reverts no change made elsewhere. */
export function changedFields<T extends object>(wanted: T, stored: object): Partial<T> {
  const storedValues = stored as Readonly<Record<string, unknown>>;
  const changed = Object.entries(wanted).filter(([name, value]) => !isSame(value, storedValues[name]));
  return Object.fromEntries(changed) as Partial<T>;
}

export const isEmpty = (changes: object): boolean => Object.keys(changes).length === 0;

const isSame = (one: unknown, other: unknown): boolean =>
  JSON.stringify(inOrder(one)) === JSON.stringify(inOrder(other));

/** Lists of names and the headers have no order. Retry delays do. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.every((each) => typeof each === 'string') ? [...value].sort() : value;
  return typeof value === 'object' && value !== null ? Object.entries(value).sort() : value;
}
