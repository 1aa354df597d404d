import { newId } from '../../effects.js';
import type { Effects } from '../../effects.js';
import type { AuditStatus, ListedMessage } from '../../model.js';
import type { AuditMessageRelease } from './audit-release.js';
import { inSteps } from '../rules/audits.js';
import type { AuditTables } from './audit-tables.js';
import type { AuditViews } from './audit-views.js';
import type { GroupCommit } from './group-commit.js';
import type { NamedLeases } from './named-leases.js';
import { readBack } from '../rules/read-back.js';
import { read } from './reads.js';
import type {
  AuditLease,
  AuditMessageView,
  AuditRelease,
  AuditRequest,
  AuditRun,
  Audits,
  AuditView,
  AuditWalk,
} from '../audits.js';
import type { RunFilter } from '../filters.js';
import type { Page, PageRequest } from '../paging.js';

/** Small enough that webhooks hardly wait: each message is one ledger lookup, and one write or one recorded webhook. */
const RECHECKED_PER_COMMIT = 250;
const RELEASED_PER_COMMIT = 100;

export interface AuditParts {
  readonly commit: GroupCommit;
  readonly tables: AuditTables;
  /** By the id of their audit. */
  readonly leases: NamedLeases;
  readonly release: AuditMessageRelease;
  readonly views: AuditViews;
}

export class SqliteAudits implements Audits {
  readonly #commit: GroupCommit;
  readonly #tables: AuditTables;
  readonly #leases: NamedLeases;
  readonly #release: AuditMessageRelease;
  readonly #views: AuditViews;
  readonly #effects: Pick<Effects, 'now' | 'randomBytes'>;

  constructor({ commit, tables, leases, release, views }: AuditParts, effects: Pick<Effects, 'now' | 'randomBytes'>) {
    this.#commit = commit;
    this.#tables = tables;
    this.#leases = leases;
    this.#release = release;
    this.#views = views;
    this.#effects = effects;
  }

  async begin(request: AuditRequest): Promise<AuditView> {
    const id = newId(request.kind === 'seed' ? 'sed' : 'aud', this.#effects);
    await this.#commit.run(() => this.#tables.insert(request, id, this.#effects.now()));
    return readBack(this.#views.audit(id));
  }

  async take(holder: string, leaseMs: number): Promise<AuditRun[]> {
    const now = this.#effects.now();
    const free = (await read(() => this.#tables.running())).filter(({ id }) => !this.#leases.isHeld(id, now, holder));
    return free.map((run) => ({ ...run, lease: this.#leases.take(run.id, holder, leaseMs, now) }));
  }

  async noteWindow(run: AuditLease, messages: readonly ListedMessage[], walk: AuditWalk): Promise<boolean> {
    return await this.#change(run, () => this.#tables.saveWindow(run.id, messages, walk, this.#effects.now()));
  }

  async noteTrouble(run: AuditLease, reason: string): Promise<boolean> {
    return await this.#change(run, () => this.#tables.saveError(run.id, reason));
  }

  async end(run: AuditLease, error: string | null): Promise<boolean> {
    await inSteps(async (after) => {
      return await this.#commit.run(() =>
        this.#isHolder(run) ? this.#tables.recheck(run.id, after, RECHECKED_PER_COMMIT) : null,
      );
    });
    const hasEnded = await this.#change(run, () => this.#tables.end(run.id, error, this.#effects.now()));
    if (hasEnded) this.#leases.remove(run.id);
    return hasEnded;
  }

  async #change(run: AuditLease, change: () => boolean): Promise<boolean> {
    return await this.#commit.run(() => this.#isHolder(run) && change());
  }

  #isHolder({ id, lease }: AuditLease): boolean {
    return this.#leases.isLast(id, lease);
  }

  async cancel(id: string): Promise<AuditView> {
    await this.#commit.run(() => this.#tables.cancel(id, this.#effects.now()));
    return readBack(this.#views.audit(id));
  }

  async release(id: string, targetIds: readonly string[] | null, dryRun: boolean): Promise<AuditRelease> {
    const total = { messages: 0, cameMeanwhile: 0, deliveries: 0 };
    await inSteps(async (after) => {
      const step = { dryRun, after, limit: RELEASED_PER_COMMIT };
      const released = await this.#commit.run(() => this.#release.step(id, targetIds, step, this.#effects.now()));
      total.messages += released.messages;
      total.cameMeanwhile += released.cameMeanwhile;
      total.deliveries += released.deliveries;
      return released.next;
    });
    return total;
  }

  async list(page: PageRequest, filter: RunFilter<AuditStatus> = {}): Promise<Page<AuditView>> {
    return await read(async () => await this.#views.audits(page, filter));
  }

  async get(id: string): Promise<AuditView | null> {
    return await read(() => this.#views.audit(id));
  }

  async messages(id: string, page: PageRequest): Promise<Page<AuditMessageView>> {
    return await read(() => this.#views.messages(id, page));
  }
}
