/** A list is read page by page, newest first. A cursor that no list gave is refused: GatewayError GW_BAD_REQUEST. */
export interface PageRequest {
  readonly limit: number;
  readonly cursor: string | null;
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly nextCursor: string | null;
}
