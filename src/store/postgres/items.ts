import type { Explanations } from './explanations.js';
import type { ItemViews } from './item-views.js';
import type { WebhookViews } from './webhook-views.js';
import type { RecordedFilter } from '../filters.js';
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
import type { Page, PageRequest } from '../paging.js';

export interface ItemParts {
  readonly views: ItemViews;
  readonly webhooks: WebhookViews;
  readonly explanations: Explanations;
}

/** Items, messages and webhooks for people; reads only. */
export class PostgresItems implements Items {
  readonly #views: ItemViews;
  readonly #webhooks: WebhookViews;
  readonly #explanations: Explanations;

  constructor({ views, webhooks, explanations }: ItemParts) {
    this.#views = views;
    this.#webhooks = webhooks;
    this.#explanations = explanations;
  }

  async list(filter: ItemFilter, page: PageRequest): Promise<Page<ItemDetail>> {
    return await this.#views.items(filter, page);
  }

  async messages(filter: MessageFilter, page: PageRequest): Promise<Page<MessageView>> {
    return await this.#views.messages(filter, page);
  }

  async webhooks(filter: RecordedFilter, page: PageRequest): Promise<Page<WebhookSummary>> {
    return await this.#webhooks.list(filter, page);
  }

  async webhook(id: string): Promise<WebhookDetail> {
    return await this.#webhooks.webhook(id);
  }

  async explain(channel: string, messageId: string): Promise<Explanation | null> {
    return await this.#explanations.explain(channel, messageId);
  }
}
