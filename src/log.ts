/** As much of the logger as those need who tell of events: fields, then a short lower-case name. */
export interface Log {
  info(fields: object, name: string): void;
  warn(fields: object, name: string): void;
}
