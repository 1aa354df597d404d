import type { Command } from 'commander';
import { CommandError, EXIT, GatewayError, StartError } from '../errors.js';
import type { ExitCode } from '../errors.js';
import type { BackupReport, MigrateReport, RekeyReport, RestoreReport } from '../maintenance.js';
import type * as Maintenance from '../maintenance.js';
import { counted } from '../quantities.js';
import type { CarryOverProgress } from '../store/carry-over.js';
import { startDisplay } from './progress.js';
import { addCommand } from './session.js';
import type { Run, Session } from './session.js';

/** Loads the part of the program that opens the database. Only these commands need it and the database drivers. */
export type LoadMaintenance = () => Promise<typeof Maintenance>;

/** `backup`, `restore`, `rekey` and `migrate`: they work on the files of a gateway, not through its API. */
export function maintenanceCommands(program: Command, run: Run, load: LoadMaintenance): void {
  addCommand(
    program,
    'backup',
    'Copy the database of a running or stopped gateway into a new file, and check the copy',
    ['backup backups/2026-01-31.db'],
  )
    .argument('<file>', 'file to write; it must not exist')
    .action(
      run(async (session: Session, file: string) => {
        const { env, effects, signal } = session.terminal;
        const report = await named(async () => await (await load()).backup(env, file, effects, signal));
        session.show(report, backupText(report));
        return EXIT.ok;
      }),
    );
  addCommand(program, 'restore', 'Put a backup in the place of the database of a stopped gateway', [
    'restore backups/2026-01-31.db',
  ])
    .argument('<file>', 'file that "backup" has written')
    .action(
      run(async (session: Session, file: string): Promise<ExitCode> => {
        const { env, effects } = session.terminal;
        const report = await named(async () => await (await load()).restore(env, file, effects));
        session.show(report, restoreText(report));
        return report.key === 'ok' ? EXIT.ok : EXIT.failed;
      }),
    );
  addCommand(program, 'rekey', 'Change the encryption key of a stopped gateway', [
    'rekey',
    '$ NEW_ENCRYPTION_KEY="$(openssl rand -base64 32)" whapi-resync-gateway rekey',
  ]).action(
    run(async (session: Session) => {
      const { env, effects } = session.terminal;
      const report = await named(async () => await (await load()).rekey(env, effects));
      session.show(report, rekeyText(report));
      return EXIT.ok;
    }),
  );
  addCommand(
    program,
    'migrate',
    'Carry everything from the SQLite file of a stopped gateway into an empty PostgreSQL database, and compare both',
    [
      'migrate --from sqlite:./data/gateway.db --to postgres://gateway:secret@db.example:5432/gateway',
      '$ DATABASE_URL=postgres://… whapi-resync-gateway migrate --from sqlite:./data/gateway.db',
    ],
  )
    .option('--from <url>', 'SQLite file, such as sqlite:./data/gateway.db (default: DATABASE_URL)')
    .option('--to <url>', 'PostgreSQL database (default: DATABASE_URL, which other users cannot see)')
    .action(
      run(async (session: Session, options: { from?: string; to?: string }): Promise<ExitCode> => {
        const { env, effects, signal, tell } = session.terminal;
        const display = startDisplay({ ...session.terminal, write: session.json ? () => undefined : tell });
        const onProgress = ({ phase, table, rows, total }: CarryOverProgress): void => {
          if (total === 0) return; // in a file or a pipe, each table is a line
          display.show({ ...PROGRESS, done: rows, total, words: phase === 'copy' ? table : `${table} (comparing)` });
        };
        const places = { from: options.from, to: options.to };
        const report = await named(
          async () => await (await load()).migrate(env, places, effects, { signal, onProgress }),
        ).finally(() => display.end());
        session.show(report, migrateText(report));
        return report.key === 'ok' ? EXIT.ok : EXIT.failed;
      }),
    );
}

/** Errors of the store and of the settings as errors of the command. */
async function named<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StartError || error instanceof GatewayError) throw new CommandError(error.code, error.message);
    throw error;
  }
}

const figuresOf = ({ schema_version: version, channels, targets }: Omit<BackupReport, 'file'>): string =>
  `schema version ${version}, ${counted(channels, 'channel')}, ${counted(targets, 'target')}`;

function backupText(report: BackupReport): string {
  const key = report.key_file ?? 'ENCRYPTION_KEY';
  return (
    `Backup written and checked: ${report.file} (${(report.bytes / 1e6).toFixed(1)} MB, ${figuresOf(report)})\n` +
    `The encryption key is not in it. Keep ${key} as well, in another place: without it, tokens and secrets cannot be read.\n`
  );
}

function restoreText(report: RestoreReport): string {
  const before = report.kept_as === null ? '' : `The database before it is now ${report.kept_as}\n`;
  return `Restored ${report.database} from ${report.restored_from} (${figuresOf(report)})\n${before}${keyText(report)}`;
}

const PROGRESS = { unit: 'rows', etaSeconds: null };

function migrateText(report: MigrateReport): string {
  const total = Object.values(report.rows).reduce((sum, count) => sum + count, 0);
  const figures = (['channels', 'targets', 'webhooks', 'ledger'] as const).map(
    (name) => `${report.rows[name] ?? 0} ${name === 'ledger' ? 'message ids' : name}`,
  );
  return (
    `Carried over and compared: ${counted(total, 'row')} (${figures.join(', ')}) from ${report.from} to ${report.to}\n` +
    `${keyOfReplicas(report)}${report.from} is unchanged. Do not start a gateway with it any more: both would answer the same messages.\n`
  );
}

function keyOfReplicas({ key, key_file: file }: MigrateReport): string {
  const given = file === null ? 'ENCRYPTION_KEY' : `ENCRYPTION_KEY set to the content of ${file}`;
  if (key === 'ok')
    return `Secrets are carried over encrypted. Start every replica with ${given}, and with the same ADMIN_TOKEN.\n`;
  if (key === 'missing')
    return `The encryption key is missing: there is no ${file ?? 'ENCRYPTION_KEY'}. Every replica needs it as ENCRYPTION_KEY.\n`;
  return `${file ?? 'ENCRYPTION_KEY'} is not the key that the secrets are encrypted with. Every replica needs the right one as ENCRYPTION_KEY.\n`;
}

function keyText({ key, key_file: file }: RestoreReport): string {
  if (key === 'ok') return 'The encryption key opens its secrets. Start the gateway.\n';
  if (key === 'missing') {
    return `The encryption key is missing: copy it to ${file ?? ''}, or set ENCRYPTION_KEY. Then start the gateway.\n`;
  }
  return (
    `${file ?? 'ENCRYPTION_KEY'} is not the key of this backup, so the gateway cannot start with it. Put the key in its place ` +
    'that the gateway had when the backup was made.\n'
  );
}

function rekeyText({ key_file: file, old_key_file: old }: RekeyReport): string {
  if (file === null)
    return 'Encrypted with NEW_ENCRYPTION_KEY. Set ENCRYPTION_KEY to that value, then start the gateway.\n';
  return (
    `Encrypted with a new key: ${file}\nThe old key is now ${old ?? ''}; only backups from before need it.\n` +
    'Start the gateway, make a new backup, and keep the new key in another place.\n'
  );
}
