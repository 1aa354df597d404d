import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Probe } from '../contract/probes.js';
import { EXIT, usageError } from '../errors.js';
import type { ExitCode } from '../errors.js';
import { counted } from '../quantities.js';
import type { Progress } from './progress.js';
import { at } from './resources.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { watch } from './watch.js';

interface Options {
  readonly yes?: boolean;
  readonly minutes?: string;
  readonly report?: string;
  readonly detach?: boolean;
  readonly cancel?: boolean;
}

/** `channels probe`. */
export function probeCommand(channels: Command, run: Run): void {
  addCommand(
    channels,
    'probe <name> [message-id]',
    'Resync one message of a real channel, watch what Whapi does, and say which assumptions hold; without an id: show the last result',
    [
      'channels probe shop p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg --yes',
      'channels probe shop p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg --yes --report probe.md',
      'channels probe shop',
      'channels probe shop --cancel',
    ],
  )
    .option('--yes', 'you agree that this message is resynced on the real channel')
    .option('--minutes <n>', 'how long to watch for webhooks, 1 to 4320; default: 120')
    .option('--report <path>', 'write the report, which has no personal data, to this file')
    .option('--detach', 'start it and do not wait for the end')
    .option('--cancel', 'end the running probe, for example after a mistyped message id')
    .action(run(probe));
}

async function probe(session: Session, name: string, id: string | undefined, options: Options): Promise<ExitCode> {
  const api = session.api();
  const path = at('/v1/channels/{name}/probe', [name]);
  if (options.cancel) {
    if (id !== undefined) throw usageError(`--cancel takes no message id: a channel has one probe at a time.`);
    shown(session, await api.call<Probe>('DELETE', path), options);
    return EXIT.ok;
  }
  if (id === undefined) return shown(session, await api.call<Probe>('GET', path), options);
  if (options.yes !== true) {
    throw usageError(
      `A probe resyncs this message on the real channel: Whapi asks the phone for it and sends a webhook. Bots behind this ` +
        `gateway do not get it; other webhooks of the channel at Whapi do. To agree, add --yes.`,
    );
  }
  const begun = await api.call<Probe>('POST', path, {
    ...{ message_id: id, consent: true },
    ...(options.minutes !== undefined && { watch_seconds: 60 * minutesOf(options.minutes) }),
  });
  const again = `${NAME} channels probe ${name}`;
  const next = `To see its result: ${again}\nTo cancel it: ${again} --cancel`;
  if (options.detach) {
    session.show(begun, `The probe is running.\n${next}\n`);
    return EXIT.ok;
  }
  const ended = await watch(session, {
    poll: async () => await api.call<Probe>('GET', path),
    isOver: ({ status }) => status !== 'running',
    progressOf: (state) => progressOf(state, session.terminal.effects.now()),
    documentOf: (state) => state,
    farewell: `The probe continues in the gateway.\n${next}`,
  });
  return shown(session, ended, options);
}

function minutesOf(text: string): number {
  const minutes = Number(text);
  if (Number.isInteger(minutes) && minutes >= 1 && minutes <= 4320) return minutes;
  throw usageError(`Invalid --minutes "${text}": use a whole number from 1 to 4320, for example 240.`);
}

function progressOf({ started_at, watch_until, summary, webhooks, plain_get }: Probe, now: number): Progress {
  const [from, to] = [Date.parse(started_at), Date.parse(watch_until)];
  const done = Math.min(99, Math.max(0, Math.floor((100 * (now - from)) / (to - from))));
  const came =
    webhooks.length === 0 ? 'The message has not come yet' : `The message came ${counted(webhooks.length, 'time')}`;
  const found = plain_get.found_at === null ? '' : ', plain GET answers 200';
  return {
    ...{ done, total: 100, unit: '%', etaSeconds: null },
    words: `${summary} ${came}${found}.`,
  };
}

/** Fails when an assumption does not hold, or was not checked because the probe failed or was cancelled. */
function shown({ show, terminal }: Session, result: Probe, { report }: Options): ExitCode {
  if (report !== undefined) {
    try {
      writeFileSync(report, result.report);
    } catch (error) {
      throw usageError(
        `Cannot write --report "${report}" (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`,
      );
    }
    terminal.tell(`Report written to ${report}.\n`);
  }
  show(result, textOf(result, report === undefined));
  const isBroken = result.status === 'failed' || result.status === 'cancelled';
  return isBroken || result.findings.some(({ holds }) => holds === false) ? EXIT.failed : EXIT.ok;
}

const MARKS = { true: 'ok  ', false: 'warn', null: '-   ' } as const;

function textOf({ channel, status, summary, findings, report }: Probe, withReport: boolean): string {
  const lines = findings.map(({ text, holds, observed, meaning }) => {
    const advice = meaning === null ? '' : `\n      → ${meaning}`;
    return `${MARKS[`${holds}`]}  ${text} Seen: ${observed}.${advice}\n`;
  });
  const pasted =
    withReport && (status === 'finished' || status === 'failed')
      ? `\nTo paste into an issue (no personal data):\n\n${report}`
      : '';
  return `Probe of channel ${channel}, ${status}: ${summary}\n${status === 'failed' ? '' : lines.join('')}${pasted}`;
}
