import type { Effects } from '../../effects.js';
import type { Explanations } from './explanations.js';
import type { ItemViews } from './item-views.js';
import { read } from './reads.js';
import type { WebhookViews } from './webhook-views.js';
import type {
  Explanation,
  ItemDetail,
  ItemFilter,
  Items,
  MessageFilter,
  MessageView,
  WebhookDetail,
} from '../items.js';
import type { Page, PageRequest } from '../paging.js';

export class SqliteItems implements Items {
  readonly #views: ItemViews;
  readonly #webhooks: WebhookViews;
  readonly #explanations: Explanations;
  readonly #now: Effects['now'];

  constructor(views: ItemViews, webhooks: WebhookViews, explanations: Explanations, now: Effects['now']) {
    this.#views = views;
    this.#webhooks = webhooks;
    this.#explanations = explanations;
    this.#now = now;
  }

  async list(filter: ItemFilter, page: PageRequest): Promise<Page<ItemDetail>> {
    return await read(async () => await this.#views.items(filter, page));
  }

  async messages(filter: MessageFilter, page: PageRequest): Promise<Page<MessageView>> {
    return await read(async () => await this.#views.messages(filter, page));
  }

  async webhook(id: string): Promise<WebhookDetail> {
    return await read(async () => await this.#webhooks.webhook(id, this.#now()));
  }

  async explain(channel: string, messageId: string): Promise<Explanation | null> {
    return await read(async () => await this.#explanations.explain(channel, messageId));
  }
}
