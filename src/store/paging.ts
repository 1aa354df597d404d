/** A page of a list, newest first unless stated otherwise. An invalid cursor rejects with GatewayError GW_BAD_REQUEST. */
export interface PageRequest {
  readonly limit: number;
  /** The `nextCursor` of the page before; null: the first page. */
  readonly cursor: string | null;
}

export interface Page<T> {
  readonly data: readonly T[];
  /** Null: this is the last page. */
  readonly nextCursor: string | null;
}
