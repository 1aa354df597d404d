import { factsFor, isOlderThan, isPaced, leftOutAs } from '../../intake/backlog.js';
import type { Verdict } from '../../model.js';
import { finish } from '../../slices.js';
import { KEY_BYTES, keysIn } from '../rules/keys.js';
import { rankOf } from '../rules/pace.js';
import type { ChatFactsReader } from './chat-facts.js';
import type { Db } from './database.js';
import type { DueDeliveries } from './due-deliveries.js';
import type { NumberedTarget } from '../rules/registry-rows.js';
import type { RegistryTables } from './registry-tables.js';
import type { ClaimWant, WantedFacts } from '../outbox.js';

interface SortedRow {
  readonly id: number;
  readonly channel: string;
  readonly chats: Buffer;
  readonly verdicts: string;
  readonly newest_message_at: number | null;
  readonly resume_at: number | null;
  readonly created_at: number;
  readonly due_at: number;
}

/** Due deliveries that one claim sorts, and those of them whose chats it looks at: some milliseconds each. */
const SORTED_PER_CLAIM = 500;
const LOOKED_AT_PER_CLAIM = 50;
/** Chats of a delivery whose newest message counts. */
const MOST_CHATS_RANKED = 100;

/**
 * The backlog of targets with a pace. A delivery that becomes due and is backlog gets a rank in place of its due time
 * (rules/pace.ts), so that what is live is found at once, however long the backlog is. A claim takes the first of them when
 * the pace allows one. A new message of its chat makes a ranked delivery due, and so gives it a new rank.
 */
export class PacedDeliveries {
  readonly #registry: RegistryTables;
  readonly #due: DueDeliveries;
  readonly #facts: ChatFactsReader;
  readonly #targets: Set<number>;
  readonly #row;
  readonly #newestAt;
  readonly #setDue;

  /** @param targets those that may have ranked deliveries, by number */
  constructor(db: Db, registry: RegistryTables, due: DueDeliveries, facts: ChatFactsReader, targets: Set<number>) {
    this.#registry = registry;
    this.#due = due;
    this.#facts = facts;
    this.#targets = targets;
    this.#row = db.prepare<[number], SortedRow>(
      'SELECT id, channel, chats, verdicts, newest_message_at, resume_at, created_at, due_at FROM deliveries WHERE id = ?',
    );
    this.#newestAt = db.prepare<[Buffer], number>('SELECT newest_at FROM chats WHERE key = ?').pluck();
    this.#setDue = db.prepare<[number, number]>('UPDATE deliveries SET due_at = ? WHERE id = ?');
  }

  /** At a start: finds the targets that have ranked deliveries. */
  load(): void {
    for (const { number } of this.#registry.targets().values())
      if (this.#due.hasRanked(number)) this.#targets.add(number);
  }

  /** Whether a claim for these has something to sort. */
  hasWork(wanted: readonly ClaimWant[], now: number): boolean {
    return wanted.some(({ targetId, backlog }) => {
      const number = this.#registry.targets().get(targetId)?.number;
      return backlog !== undefined && number !== undefined && this.#due.idsToSort(number, 1, now).length > 0;
    });
  }

  /**
   * Ranks the due deliveries that have to wait. Returns the ids of the backlog that does not: what a person has retried, and
   * what the target's settings will leave out. For use inside a transaction.
   */
  sort(wanted: readonly ClaimWant[], now: number): ReadonlySet<number> {
    const letThrough = new Set<number>();
    for (const { targetId, backlog } of wanted) {
      const found = this.#registry.targets().get(targetId);
      if (backlog !== undefined && found) this.#sortOf(found, now, letThrough);
    }
    return letThrough;
  }

  #sortOf(found: NumberedTarget, now: number, letThrough: Set<number>): void {
    const { number, target } = found;
    let lookedAt = 0;
    for (const id of this.#due.idsToSort(number, SORTED_PER_CLAIM, now)) {
      const row = this.#row.get(id);
      const content = row && contentOf(row);
      if (!content || !isPaced(content, target, now)) continue;
      let wanted = factsFor(content, target, now);
      // Whatever is not looked at now waits for its turn, so that nothing live waits behind it. Left out then, it takes none.
      if (wanted && (lookedAt += 1) > LOOKED_AT_PER_CLAIM) wanted = null;
      if (row.resume_at === null && !this.#isLeftOut(row, wanted, found, now)) {
        this.#rankRow(row, number, now);
        continue;
      }
      letThrough.add(id);
      // Once behind what is live by now: a chat may have thousands, and as each ends, the next one becomes due.
      if (row.due_at <= row.created_at) this.#setDue.run(now, id);
    }
  }

  #isLeftOut(row: SortedRow, wanted: WantedFacts | null, { number, target }: NumberedTarget, now: number): boolean {
    const content = contentOf(row);
    const { newestMessageAt } = content;
    const { maxAgeSeconds } = target;
    if (newestMessageAt !== null && maxAgeSeconds !== null && isOlderThan(newestMessageAt, maxAgeSeconds, now))
      return true;
    if (!wanted) return false;
    const facts = finish(this.#facts.readUnleased({ id: row.id, target: number, channel: row.channel }, wanted));
    return leftOutAs(content, target, facts, now) !== null;
  }

  #rankRow({ id, chats, newest_message_at: own }: SortedRow, target: number, now: number): void {
    const lanes = keysIn(chats.subarray(0, MOST_CHATS_RANKED * KEY_BYTES));
    const newestAt = Math.max(own ?? 0, ...[...lanes].map((chat) => this.#newestAt.get(chat) ?? 0));
    this.#targets.add(target);
    this.#setDue.run(rankOf(newestAt, now), id);
  }
}

function contentOf({ verdicts, newest_message_at: newestMessageAt }: SortedRow) {
  return { verdicts: verdicts.split(',') as Verdict[], newestMessageAt };
}
