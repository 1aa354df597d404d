/**
 * All errors that a user can see, with their stable codes and HTTP statuses. The text says what is wrong and what to do. Any
 * other error is a bug: it is answered with 500 and no details.
 */
export const STATUS_OF = {
  GW_BAD_JSON: 400,
  GW_BAD_REQUEST: 400,
  GW_NO_PUBLIC_URL: 400,
  GW_UNAUTHORIZED: 401,
  GW_WRONG_ORIGIN: 403,
  GW_NOT_FOUND: 404,
  GW_TIMEOUT: 408,
  GW_CHANNEL_MISMATCH: 409,
  GW_CONFLICT: 409,
  GW_NOT_HELD: 409,
  GW_CLAIMED: 409,
  GW_UNDER_WAY: 409,
  GW_PAYLOAD_GONE: 410,
  GW_TOO_LARGE: 413,
  GW_IDEMPOTENCY_MISMATCH: 422,
  GW_RATE_LIMITED: 429,
  GW_TOO_MANY_CLAIMS: 429,
  GW_HEADERS_TOO_LARGE: 431,
  GW_INTERNAL: 500,
  GW_WHAPI_REFUSED: 502,
  GW_WHAPI_UNAVAILABLE: 502,
  GW_OVERLOADED: 503,
  GW_STORE_UNAVAILABLE: 503,
  GW_WHAPI_TIMEOUT: 504,
  GW_LOOP: 508,
} as const;

export type GatewayErrorCode = keyof typeof STATUS_OF;

/** One invalid field of a request: `path` is a JSON pointer to it. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export class GatewayError extends Error {
  readonly code: GatewayErrorCode;
  readonly fields: readonly FieldError[];

  constructor(code: GatewayErrorCode, detail: string, fields: readonly FieldError[] = [], options?: ErrorOptions) {
    super(detail, options);
    this.name = 'GatewayError';
    this.code = code;
    this.fields = fields;
  }

  get status(): number {
    return STATUS_OF[this.code];
  }
}

/** Whether the store could not take an operation at all, so that another one would fail as well. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'GW_STORE_UNAVAILABLE';
}

/** What to do about a damaged database. */
export const DAMAGE_FIX =
  'Stop the gateway and restore a backup. Without one, copy what is readable into a new file: ' +
  'sqlite3 gateway.db .recover | sqlite3 new.db';

/** An operation met damage in the store. Unlike other faults of the store it does not pass: a person must act. */
export class DamagedStoreError extends GatewayError {
  constructor(detail: string, options?: ErrorOptions) {
    super('GW_STORE_UNAVAILABLE', detail, [], options);
  }
}

/** Who holds a claim on a message. */
export interface ClaimHolder {
  readonly owner: string;
  readonly claimedAt: number;
  readonly expiresAt: number;
}

/** Another owner has claimed the message. */
export class ClaimedError extends GatewayError {
  readonly holder: ClaimHolder;

  constructor(messageId: string, holder: ClaimHolder) {
    super(
      'GW_CLAIMED',
      `Message "${messageId}" is claimed by "${holder.owner}" until ${new Date(holder.expiresAt).toISOString()}. Leave it to ` +
        'that owner, or try again later.',
    );
    this.holder = holder;
  }
}

/** A channel that does not exist. */
export function noSuchChannel(name: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no channel "${name}".`);
}

/** No probe of a channel is on record. */
export function neverProbed(channel: string): GatewayError {
  return new GatewayError(
    'GW_NOT_FOUND',
    `Channel "${channel}" was never probed. Start a probe with "channels probe ${channel} <message id> --yes".`,
  );
}

/** An invalid cursor. */
export function badCursor(): GatewayError {
  return new GatewayError(
    'GW_BAD_REQUEST',
    'Invalid cursor. Use the next_cursor of the page before, or start again without a cursor.',
  );
}

/**
 * An error that stops the start of the process, or a command that works on its files. `exitCode`: 2 for an invalid setting,
 * 1 for anything else.
 */
export class StartError extends Error {
  readonly code:
    | 'GW_BAD_CONFIG'
    | 'GW_STORE_LOCKED'
    | 'GW_STORE_UNUSABLE'
    | 'GW_WRONG_KEY'
    | 'GW_UNSAFE_KEY_FILE'
    | 'GW_BACKUP_EXISTS'
    | 'GW_BACKUP_FAILED'
    | 'GW_BAD_BACKUP'
    | 'GW_STORE_NOT_EMPTY'
    | 'GW_MIGRATION_FAILED'
    | 'GW_PORT_TAKEN'
    | 'GW_CANNOT_LISTEN';
  readonly exitCode: 1 | 2;

  constructor(code: StartError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
    this.code = code;
    this.exitCode = code === 'GW_BAD_CONFIG' ? 2 : 1;
  }
}

/** Another gateway process has the store open. A command that needs a stopped gateway gives other advice. */
export class GatewayRunsError extends StartError {
  readonly file: string;

  constructor(file: string, options?: ErrorOptions) {
    super(
      'GW_STORE_LOCKED',
      `Another gateway process has ${file} open. Stop it first, or start this one with another file, for example ` +
        'DATABASE_URL=sqlite:./data/second.db.',
      options,
    );
    this.file = file;
  }
}

/** A command needs a database, and there is none. */
export function noDatabase(file: string): StartError {
  return new StartError(
    'GW_STORE_UNUSABLE',
    `There is no database at ${file}. Run the command in the folder of the gateway, or set DATABASE_URL, for example ` +
      'DATABASE_URL=sqlite:/data/gateway.db.',
  );
}

/** Exit codes of the command line, for scripts. docs/cli.md and `--help` list them. */
export const EXIT = {
  ok: 0,
  /**
   * The command ran, and a check failed: doctor, audit, targets test, channels connect, channels probe; a resync restored nothing; or
   * backup, restore or rekey could not do it.
   */
  failed: 1,
  /** An option, argument, file or value is wrong. */
  usage: 2,
  /** No gateway answers, or it accepts no work at the moment. */
  unreachable: 3,
  /** A resync restored only some of its messages. */
  partly: 4,
  /** The gateway answered with an error. */
  refused: 5,
  /** The channel, target, message, run or item does not exist. */
  notFound: 6,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Codes of errors that the command line finds itself. Errors of the gateway keep the gateway's code. */
export type CommandErrorCode =
  'GW_USAGE' | 'GW_NO_ADMIN_TOKEN' | 'GW_UNREACHABLE' | 'GW_NOT_A_GATEWAY' | 'GW_INTERRUPTED' | 'GW_NOT_FOUND';

/** The exit code of an error: the same mistake ends every command with the same one. */
const EXIT_OF: ReadonlyMap<string, ExitCode> = new Map<
  CommandErrorCode | GatewayErrorCode | StartError['code'],
  ExitCode
>([
  ['GW_USAGE', EXIT.usage],
  ['GW_NO_ADMIN_TOKEN', EXIT.usage],
  ['GW_BAD_REQUEST', EXIT.usage], // an invalid value, which only the gateway can tell
  ['GW_NO_PUBLIC_URL', EXIT.usage],
  ['GW_UNREACHABLE', EXIT.unreachable],
  ['GW_NOT_A_GATEWAY', EXIT.unreachable],
  ['GW_OVERLOADED', EXIT.unreachable],
  ['GW_STORE_UNAVAILABLE', EXIT.unreachable],
  ['GW_NOT_FOUND', EXIT.notFound],
  ['GW_INTERRUPTED', EXIT.interrupted],
  ['GW_BAD_CONFIG', EXIT.usage],
  ['GW_STORE_LOCKED', EXIT.failed],
  ['GW_STORE_UNUSABLE', EXIT.failed],
  ['GW_WRONG_KEY', EXIT.failed],
  ['GW_UNSAFE_KEY_FILE', EXIT.failed],
  ['GW_BACKUP_EXISTS', EXIT.failed],
  ['GW_BACKUP_FAILED', EXIT.failed],
  ['GW_BAD_BACKUP', EXIT.failed],
  ['GW_STORE_NOT_EMPTY', EXIT.failed],
  ['GW_MIGRATION_FAILED', EXIT.failed],
]);

/** An error that ends a command. The message is for the person who typed it. */
export class CommandError extends Error {
  readonly code: string;
  /** Invalid fields, as the gateway listed them. */
  readonly fields: readonly FieldError[];

  /** @param code a `CommandErrorCode`, or the code that the gateway answered */
  constructor(code: CommandErrorCode | (string & {}), message: string, fields: readonly FieldError[] = []) {
    super(message);
    this.name = 'CommandError';
    this.code = code;
    this.fields = fields;
  }

  get exitCode(): ExitCode {
    return EXIT_OF.get(this.code) ?? EXIT.refused;
  }
}

/** Wrong usage of a command. */
export function usageError(message: string): CommandError {
  return new CommandError('GW_USAGE', message);
}

/** The message of something that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
