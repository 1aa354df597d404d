/** The part of the logger for events: fields, then a short lower-case event name. */
export interface Log {
  info(fields: object, name: string): void;
  warn(fields: object, name: string): void;
}
