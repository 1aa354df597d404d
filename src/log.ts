/** The part of the logger that reports events: fields, then a short lower-case name. */
export interface Log {
  info(fields: object, name: string): void;
  warn(fields: object, name: string): void;
}
