import { parseDeliveryId } from '../rules/ids.js';
import { GatewayError } from '../../errors.js';
import { chatFactsOf } from './chat-facts.js';
import { Claims } from './claims.js';
import type { Database } from './database.js';
import { PostgresDeliveries } from './deliveries.js';
import { PostgresDeliveryViews } from './delivery-views.js';
import type { Base } from './base.js';
import { Leases } from './leases.js';
import { PacedDeliveries } from './paced-deliveries.js';
import { Settlements } from './settlements.js';
import { TargetLoads } from './target-load.js';
import type { DeliveryDetail, DeliveryFilter, DeliveryView } from '../deliveries.js';
import type {
  ChatFacts,
  Claimed,
  ClaimWant,
  Due,
  LeasedBody,
  Outbox,
  PendingLoad,
  Settlement,
  TargetLoad,
  WantedFacts,
} from '../outbox.js';
import type { Page, PageRequest } from '../paging.js';

/** Makes deliveries of held items. */
export type HeldRelease = Pick<Outbox, 'release' | 'releaseItem'>;

/** Deliveries: claims, settlements, releases, retries and lists. */
export class PostgresOutbox implements Outbox {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #claims: Claims;
  readonly #paced: PacedDeliveries;
  readonly #settlements: Settlements;
  readonly #deliveries: PostgresDeliveries;
  readonly #views: PostgresDeliveryViews;
  readonly #loads: TargetLoads;
  readonly #release: HeldRelease;

  constructor(base: Base, release: HeldRelease) {
    const leases = new Leases();
    base.fall.onShifted(() => leases.forgetAll()); // their times were shifted
    this.#db = base.db;
    this.#now = base.now;
    this.#claims = new Claims(base, leases);
    this.#paced = new PacedDeliveries(base);
    this.#settlements = new Settlements(base, leases);
    this.#deliveries = new PostgresDeliveries(base);
    this.#views = new PostgresDeliveryViews(base.db);
    this.#loads = new TargetLoads(base);
    this.#release = release;
  }

  async due(): Promise<Due> {
    return await this.#claims.due(this.#now());
  }

  async claim(wanted: readonly ClaimWant[], leaseMs: number): Promise<Claimed> {
    const letThrough = await this.#paced.sort(wanted, this.#now());
    return await this.#claims.claim(wanted, this.#now(), leaseMs, letThrough);
  }

  /**
   * Does nothing, because an offer is only a permission. Leasing a delivery as it is recorded saves SQLite two writes; here
   * the claim is a statement of its own in any case.
   */
  offer(): void {
    return undefined;
  }

  async chatFacts({ id, ...delivery }: LeasedBody, wanted: WantedFacts): Promise<ChatFacts> {
    return await chatFactsOf(this.#db, { ...delivery, id: parseDeliveryId(id) ?? 0 }, wanted);
  }

  async settle(settlement: Settlement): Promise<boolean> {
    return await this.#settlements.settle(settlement);
  }

  async release(channel: string, messageId: string, targetIds: readonly string[] | null): Promise<readonly string[]> {
    return await this.#release.release(channel, messageId, targetIds);
  }

  async releaseItem(itemId: string, targetIds: readonly string[] | null): Promise<readonly string[]> {
    return await this.#release.releaseItem(itemId, targetIds);
  }

  async retry(id: string): Promise<DeliveryView> {
    await this.#deliveries.retry(id);
    const view = await this.#views.detail(id);
    if (view) return view;
    throw new GatewayError('GW_INTERNAL', 'The row that was just written could not be read.');
  }

  async deliveries(filter: DeliveryFilter, page: PageRequest): Promise<Page<DeliveryView>> {
    return await this.#views.list(filter, page);
  }

  async delivery(id: string): Promise<DeliveryDetail | null> {
    return await this.#views.detail(id);
  }

  async pendingOf(targetId: string): Promise<PendingLoad> {
    return await this.#loads.pendingOf(targetId);
  }

  async loadOf(targetId: string): Promise<TargetLoad> {
    return await this.#loads.loadOf(targetId);
  }

  /** Resolves when every settlement is written. */
  async idle(): Promise<void> {
    await this.#settlements.idle();
  }
}
