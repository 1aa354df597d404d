import { newId } from '../../effects.js';
import { messageKey } from '../rules/keys.js';
import { readBack } from '../rules/read-back.js';
import type { ChannelCalls } from '../calls.js';
import type { ResyncStatus } from '../../model.js';
import type { RunFilter } from '../filters.js';
import type { Page, PageRequest } from '../paging.js';
import type {
  CallResult,
  ResyncCall,
  ResyncMessageFilter,
  ResyncMessageView,
  ResyncReport,
  ResyncRequest,
  Resyncs,
  ResyncState,
  ResyncView,
} from '../resyncs.js';
import type { ChannelWork } from './channel-work.js';
import type { Base } from './base.js';
import { knownOf, Registrations } from './registrations.js';
import type { ResyncCalls } from './resync-calls.js';
import { ResyncViews } from './resync-views.js';
import type { HeldOfResync } from './resync-views.js';
import { ResyncWindows } from './resync-windows.js';
import { saveShown } from './shown-messages.js';

export interface ResyncParts {
  readonly channels: ChannelWork;
  readonly calls: ResyncCalls;
  readonly held: HeldOfResync;
}

/** Resyncs: their registrations, calls, windows and views. */
export class PostgresResyncs implements Resyncs {
  readonly #base: Base;
  readonly #channels: ChannelWork;
  readonly #registrations: Registrations;
  readonly #calls: ResyncCalls;
  readonly #windows: ResyncWindows;
  readonly #views: ResyncViews;

  constructor(base: Base, { channels, calls, held }: ResyncParts) {
    this.#base = base;
    this.#channels = channels;
    this.#registrations = new Registrations(channels, base);
    this.#calls = calls;
    this.#windows = new ResyncWindows(base, channels);
    this.#views = new ResyncViews(base, held);
  }

  async register(request: ResyncRequest): Promise<ResyncView> {
    return await this.#readBack(await this.#registrations.register(request, this.#newId()));
  }

  async registerAsked(request: ResyncRequest, leaseMs: number): Promise<ResyncCall[]> {
    const id = this.#newId();
    const { channel: name, messageIds, shown } = request;
    const { calls, askedAt } = await this.#channels.run(name, async (tx) => {
      const [state, known] = await Promise.all([this.#channels.begin(tx, name), knownOf(tx, name, messageIds)]);
      const channel = state.requireChannel(name);
      const now = this.#base.now();
      const rows = await this.#registrations.registerAsked(tx, request, id, known, now);
      const key = messageKey(name, messageIds[0] ?? '');
      const [taken] = await Promise.all([
        this.#calls.takeRegistered(tx, rows, request, now, leaseMs),
        shown !== undefined && saveShown(tx, { channel: name, key, message: shown }, null, now),
      ]);
      return { calls: taken.map((call) => ({ ...call, channel })), askedAt: now };
    });
    for (const call of calls) this.#calls.remember(call, askedAt);
    return calls;
  }

  async registerUnlessRecent(request: ResyncRequest, withinMs: number): Promise<{ resyncId: string; isDue: boolean }> {
    return await this.#registrations.registerUnlessRecent(request, this.#newId(), withinMs);
  }

  async takeCall(channel: string, prefer: ResyncCall['kind'], leaseMs: number): Promise<ResyncCall | null> {
    return await this.#calls.take(channel, prefer, leaseMs);
  }

  async settleCall(call: ResyncCall, result: CallResult): Promise<void> {
    await this.#calls.settle(call, result);
  }

  async pendingCalls(holder?: string): Promise<ChannelCalls[]> {
    return await this.#calls.pendingCalls(holder ?? null);
  }

  async closeWindows(): Promise<number> {
    return await this.#windows.close();
  }

  async cancel(id: string): Promise<ResyncView> {
    await this.#windows.cancel(id);
    return await this.#readBack(id);
  }

  async list(page: PageRequest, filter: RunFilter<ResyncStatus> = {}): Promise<Page<ResyncView>> {
    return await this.#views.resyncs(page, filter);
  }

  async get(id: string): Promise<ResyncView | null> {
    return await this.#views.resync(id);
  }

  async states(range: { after: number; before: number }, limit: number): Promise<ResyncState[]> {
    return await this.#views.states(range, limit);
  }

  async stillRunning(ids: readonly string[]): Promise<ReadonlySet<string>> {
    return await this.#views.stillRunning(ids);
  }

  async messages(id: string, page: PageRequest, filter?: ResyncMessageFilter): Promise<Page<ResyncMessageView>> {
    return await this.#views.messages(id, page, filter);
  }

  async report(id: string): Promise<ResyncReport | null> {
    return await this.#views.report(id);
  }

  #newId(): string {
    return newId('rsy', this.#base.effects);
  }

  async #readBack(id: string): Promise<ResyncView> {
    return readBack(await this.#views.resync(id));
  }
}
