/** A truth value as an engine stores it. */
export type StoredBoolean = boolean | number;
