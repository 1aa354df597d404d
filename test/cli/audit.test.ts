import { describe, expect, it } from 'vitest';
import { accessTo, cli } from '../support/cli.js';
import { startAudits, storeHistory } from '../support/audit.js';
import type { AuditStage } from '../support/audit.js';

/** Whapi has two messages from the time since the channel was added, and a webhook delivered one of them. */
async function withGap(): Promise<AuditStage & { env: Record<string, string> }> {
  const stage = await startAudits();
  const at = stage.begun + 3600;
  await storeHistory(
    stage,
    [
      { id: 'came', at },
      { id: 'never-came', at },
    ],
    ({ id }) => id === 'never-came',
  );
  await stage.bot.received(1);
  return { ...stage, env: accessTo(stage.gateway) };
}

describe('audit', () => {
  it('counts missing messages and exits with 1, lists them, and releases them', async () => {
    const { env, bot } = await withGap();
    const { code, stdout } = await cli(['audit', '--since', '1d'], { env });
    expect(code).toBe(1);
    expect(stdout).toContain('Whapi has 2 messages: 1 received, 1 missing');
    const id = /audit --list (\S+)/.exec(stdout)?.[1] ?? '';
    expect((await cli(['audit', '--list', id], { env })).stdout).toMatch(/^never-came {2}\d{4}-/);
    expect((await cli(['audit', '--release', id, '--dry-run'], { env })).stdout).toMatch(/^Messages to release: 1,/);
    await cli(['audit', '--release', id], { env });
    expect((await bot.received(2))[1]?.ids).toEqual(['never-came']);
  });

  it('exits with 0 if nothing is missing, with the same result for --json and --watch', async () => {
    const { env } = await withGap();
    const { code, stdout } = await cli(['audit', '--since', '2020-01-01', '--until', '2020-02-01', '--json'], { env });
    const told = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { id: string };
    expect(code).toBe(0);
    expect(told).toMatchObject({ status: 'finished', counts: { whapi_has: 0, never_came: 0 } });
    expect((await cli(['audit', '--watch', told.id], { env })).stdout).toContain(`${told.id} of channel main finished`);
  });

  it('requires a start time and refuses an invalid one', async () => {
    const { env } = await withGap();
    for (const args of [['audit'], ['audit', '--since', 'yesterday'], ['audit', '--since', '7y']]) {
      expect((await cli(args, { env })).code).toBe(2);
    }
  });
});

describe('channels seed', () => {
  it('records the ids that Whapi has in the ledger', async () => {
    const { env } = await withGap();
    const { code, stdout } = await cli(['channels', 'seed', 'main', '--since', '1d'], { env });
    expect(code).toBe(0);
    expect(stdout).toContain('1 of 2 message ids added to the ledger. They count as known in one hour');
  });
});
