import type { Effects } from '../../effects.js';
import { inSlices } from '../../event-loop.js';
import { deliveryId } from '../rules/ids.js';
import type { ChatFactsReader } from './chat-facts.js';
import type { Claims } from './claims.js';
import type { DeliveryTables } from './delivery-tables.js';
import type { DeliveryViews } from './delivery-views.js';
import type { GroupCommit } from './group-commit.js';
import type { ItemRelease } from './item-release.js';
import type { Offers } from './offers.js';
import type { PacedDeliveries } from './paced-deliveries.js';
import { readBack } from '../rules/read-back.js';
import { read } from './reads.js';
import type { TargetCounts } from './target-counts.js';
import type { DeliveryDetail, DeliveryFilter, DeliveryView } from '../deliveries.js';
import type {
  ChatFacts,
  Claimed,
  ClaimWant,
  Due,
  LeasedBody,
  Offer,
  Outbox,
  PendingLoad,
  Settlement,
  TargetLoad,
  WantedFacts,
} from '../outbox.js';
import type { Page, PageRequest } from '../paging.js';

export interface OutboxParts {
  readonly commit: GroupCommit;
  readonly claims: Claims;
  readonly offers: Offers;
  readonly facts: ChatFactsReader;
  readonly paced: PacedDeliveries;
  readonly deliveries: DeliveryTables;
  readonly views: DeliveryViews;
  readonly release: ItemRelease;
  readonly counts: TargetCounts;
}

const NONE: ReadonlySet<number> = new Set();

export class SqliteOutbox implements Outbox {
  readonly #commit: GroupCommit;
  readonly #claims: Claims;
  readonly #offers: Offers;
  readonly #facts: ChatFactsReader;
  readonly #paced: PacedDeliveries;
  readonly #deliveries: DeliveryTables;
  readonly #views: DeliveryViews;
  readonly #release: ItemRelease;
  readonly #counts: TargetCounts;
  readonly #now: Effects['now'];

  constructor(
    { commit, claims, offers, facts, paced, deliveries, views, release, counts }: OutboxParts,
    now: Effects['now'],
  ) {
    this.#commit = commit;
    this.#claims = claims;
    this.#offers = offers;
    this.#facts = facts;
    this.#paced = paced;
    this.#deliveries = deliveries;
    this.#views = views;
    this.#release = release;
    this.#counts = counts;
    this.#now = now;
  }

  async due(): Promise<Due> {
    return await read(() => this.#claims.due(this.#now()));
  }

  async claim(wanted: readonly ClaimWant[], leaseMs: number): Promise<Claimed> {
    const hasWork = await read(() => this.#paced.hasWork(wanted, this.#now()));
    const letThrough = hasWork ? await this.#commit.run(() => this.#paced.sort(wanted, this.#now())) : NONE;
    return await read(() => this.#claims.claim(wanted, this.#now(), leaseMs, letThrough));
  }

  offer(targetId: string, offer: Offer): void {
    this.#offers.set(targetId, offer);
  }

  async chatFacts(delivery: LeasedBody, wanted: WantedFacts): Promise<ChatFacts> {
    return await read(async () => await inSlices(this.#facts.read(delivery, wanted)));
  }

  async settle(settlement: Settlement): Promise<boolean> {
    return await this.#commit.runWithoutSavepoint(() => this.#deliveries.settle(settlement, this.#now()));
  }

  async release(channel: string, messageId: string, targetIds: readonly string[] | null): Promise<string[]> {
    const ids = await this.#commit.run(() => this.#release.releaseMessage(channel, messageId, targetIds, this.#now()));
    return ids.map(deliveryId);
  }

  async releaseItem(itemId: string, targetIds: readonly string[] | null): Promise<string[]> {
    const ids = await this.#commit.run(() => this.#release.releaseItem(itemId, targetIds, this.#now()));
    return ids.map(deliveryId);
  }

  async retry(id: string): Promise<DeliveryView> {
    await this.#commit.run(() => this.#deliveries.retry(id, this.#now()));
    return readBack(this.#views.detail(id));
  }

  async deliveries(filter: DeliveryFilter, page: PageRequest): Promise<Page<DeliveryView>> {
    return await read(async () => await this.#views.list(filter, page));
  }

  async delivery(id: string): Promise<DeliveryDetail | null> {
    return await read(() => this.#views.detail(id));
  }

  async pendingOf(targetId: string): Promise<PendingLoad> {
    return await this.loadOf(targetId);
  }

  async loadOf(targetId: string): Promise<TargetLoad> {
    return await read(() => this.#counts.loadOf(targetId, this.#now()));
  }
}
