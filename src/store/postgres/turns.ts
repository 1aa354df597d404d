import type { Base } from './base.js';
import type { ChannelTurn, Turns } from '../turns.js';

/** A row per channel. Each operation is one statement: the first replica that changes the row has the turn. */
export class PostgresTurns implements Turns {
  readonly #base: Base;

  constructor(base: Base) {
    this.#base = base;
  }

  async take(channel: string, holder: string, leaseMs: number): Promise<ChannelTurn | null> {
    const { db, now } = this.#base;
    const at = now();
    const row = await db.one<{ token: number; ended_at: number | null }>(
      `INSERT INTO gateway.channel_turns AS t (channel, holder, token, until) VALUES ($1, $2, 1, $3)
       ON CONFLICT (channel) DO UPDATE SET holder = excluded.holder, token = t.token + 1, until = excluded.until WHERE t.until <= $4
       RETURNING token, ended_at`,
      ...[channel, holder, at + leaseMs, at],
    );
    return row ? { channel, token: row.token, lastEndedAt: row.ended_at } : null;
  }

  async end({ channel, token }: ChannelTurn, startsSpacing: boolean): Promise<void> {
    const { db, now } = this.#base;
    await db.run(
      `UPDATE gateway.channel_turns SET until = 0, ended_at = CASE WHEN $3 THEN $4 ELSE ended_at END WHERE channel = $1 AND token = $2`,
      ...[channel, token, startsSpacing, now()],
    );
  }
}
