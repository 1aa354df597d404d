import type { Command } from 'commander';
import { worstOf } from '../doctor/policy.js';
import type { Check } from '../doctor/policy.js';
import type { DoctorReport } from '../contract/doctor.js';
import { CommandError, EXIT, STATUS_OF } from '../errors.js';
import type { ExitCode } from '../errors.js';
import { localChecks } from './local-checks.js';
import type { Examine } from './local-checks.js';
import type { LoadMaintenance } from './maintenance.js';
import { addCommand } from './session.js';
import type { Run, Session } from './session.js';

/** Checks of the gateway, or of this machine where no gateway answers. */
type Report = Pick<DoctorReport, 'status' | 'checks'>;

/** `doctor`. */
export function doctorCommand(program: Command, run: Run, load: LoadMaintenance): void {
  addCommand(program, 'doctor', 'Check everything that a working gateway depends on, and say what to fix', [
    'doctor',
    'doctor --send-test',
  ])
    .option('--send-test', 'send each target a test event')
    .action(
      run(async (session: Session, options: { sendTest?: boolean }) => {
        return await doctor(session, options, async (env) => await (await load()).examine(env));
      }),
    );
}

/** Fails when a check fails. When no gateway answers, it checks what the start of one depends on. */
async function doctor(
  session: Session,
  { sendTest = false }: { sendTest?: boolean },
  examine: Examine,
): Promise<ExitCode> {
  const report = await fromGateway(session, sendTest, examine);
  session.show(report, report.checks.map(checkText).join(''));
  return report.status === 'fail' ? EXIT.failed : EXIT.ok;
}

async function fromGateway(
  { api, terminal, gatewayUrl }: Session,
  sendTest: boolean,
  examine: Examine,
): Promise<Report> {
  try {
    return await api().call<Report>('GET', `/v1/doctor${sendTest ? '?send_test=true' : ''}`);
  } catch (error) {
    if (!(error instanceof CommandError) || error.code === 'GW_INTERRUPTED') throw error;
    const gateway: Check = {
      ...{ name: 'gateway', subject: gatewayUrl(), status: 'fail', message: error.message, fix: null },
    };
    // One that answers runs, so that what a start depends on says nothing. It may run on another machine.
    const checks = error.code in STATUS_OF ? [gateway] : [gateway, ...(await localChecks(terminal.env, examine))];
    return { status: worstOf(checks), checks };
  }
}

function checkText({ name, subject, status, message, fix }: Check): string {
  const about = subject === name || subject === '' ? name : `${name} (${subject})`;
  return `${status.padEnd(4)}  ${about}: ${message}\n${fix === null ? '' : `      → ${fix}\n`}`;
}
