import type { Effects } from '../../effects.js';
import type { Explanations } from './explanations.js';
import type { ItemViews } from './item-views.js';
import { read } from './reads.js';
import type { WebhookLists } from './webhook-lists.js';
import type { WebhookViews } from './webhook-views.js';
import type {
  Explanation,
  ItemDetail,
  ItemFilter,
  Items,
  MessageFilter,
  MessageView,
  WebhookDetail,
  WebhookSummary,
} from '../items.js';
import type { RecordedFilter } from '../filters.js';
import type { Page, PageRequest } from '../paging.js';

export interface ItemParts {
  readonly views: ItemViews;
  readonly webhooks: WebhookViews;
  readonly lists: WebhookLists;
  readonly explanations: Explanations;
}

export class SqliteItems implements Items {
  readonly #views: ItemViews;
  readonly #webhooks: WebhookViews;
  readonly #lists: WebhookLists;
  readonly #explanations: Explanations;
  readonly #now: Effects['now'];

  constructor({ views, webhooks, lists, explanations }: ItemParts, now: Effects['now']) {
    this.#views = views;
    this.#webhooks = webhooks;
    this.#lists = lists;
    this.#explanations = explanations;
    this.#now = now;
  }

  async list(filter: ItemFilter, page: PageRequest): Promise<Page<ItemDetail>> {
    return await read(async () => await this.#views.items(filter, page));
  }

  async messages(filter: MessageFilter, page: PageRequest): Promise<Page<MessageView>> {
    return await read(async () => await this.#views.messages(filter, page));
  }

  async webhooks(filter: RecordedFilter, page: PageRequest): Promise<Page<WebhookSummary>> {
    return await read(async () => await this.#lists.webhooks(filter, page));
  }

  async webhook(id: string): Promise<WebhookDetail> {
    return await read(async () => await this.#webhooks.webhook(id, this.#now()));
  }

  async explain(channel: string, messageId: string): Promise<Explanation | null> {
    return await read(async () => await this.#explanations.explain(channel, messageId));
  }
}
