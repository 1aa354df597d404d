import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const US_PER_TICK = 1e6 / Number(execFileSync('getconf', ['CLK_TCK']));

/**
 * What a process alone has used so far (Linux): CPU in microseconds, user and system of all its threads, in steps of 10 ms;
 * and the bytes that it caused to be written to disk, in whole pages.
 */
export function usageOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name of the program, in parentheses, may contain spaces: the fields after it begin with the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [fields[11], fields[12]].map(Number);
  const [, writtenBytes] = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'));
  return { cpuUs: (userTicks + systemTicks) * US_PER_TICK, writtenBytes: Number(writtenBytes) };
}

/** What it has used since an earlier `usageOf`, for each of `count` webhooks. */
export function usagePerWebhook(pid, before, count) {
  const after = usageOf(pid);
  return {
    cpuUs: (after.cpuUs - before.cpuUs) / count,
    writtenBytes: (after.writtenBytes - before.writtenBytes) / count,
  };
}

/** The most memory that was ever resident, in MB. */
export function peakMemoryMb(pid) {
  const [, kib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(kib) / 1024);
}
