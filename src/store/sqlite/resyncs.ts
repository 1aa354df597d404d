import { newId } from '../../effects.js';
import type { Effects } from '../../effects.js';
import { messageKey } from '../rules/keys.js';
import type { GroupCommit } from './group-commit.js';
import { readBack } from '../rules/read-back.js';
import { read } from './reads.js';
import type { Registrations } from './registrations.js';
import type { ResyncCallTables } from './resync-calls.js';
import type { ResyncViews } from './resync-views.js';
import type { ResyncWindows } from './resync-windows.js';
import type { ShownMessages } from './shown-messages.js';
import type { SqliteTurns } from './turns.js';
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

const WINDOWS_PER_COMMIT = 500;

export interface ResyncParts {
  readonly commit: GroupCommit;
  readonly registrations: Registrations;
  readonly calls: ResyncCallTables;
  readonly turns: SqliteTurns;
  readonly windows: ResyncWindows;
  readonly shown: Pick<ShownMessages, 'refresh' | 'save'>;
  readonly views: ResyncViews;
}

export class SqliteResyncs implements Resyncs {
  readonly #commit: GroupCommit;
  readonly #registrations: Registrations;
  readonly #calls: ResyncCallTables;
  readonly #turns: SqliteTurns;
  readonly #windows: ResyncWindows;
  readonly #shown: Pick<ShownMessages, 'refresh' | 'save'>;
  readonly #views: ResyncViews;
  readonly #effects: Pick<Effects, 'now' | 'randomBytes'>;

  constructor(
    { commit, registrations, calls, turns, windows, shown, views }: ResyncParts,
    effects: Pick<Effects, 'now' | 'randomBytes'>,
  ) {
    this.#commit = commit;
    this.#registrations = registrations;
    this.#calls = calls;
    this.#turns = turns;
    this.#windows = windows;
    this.#shown = shown;
    this.#views = views;
    this.#effects = effects;
  }

  async register(request: ResyncRequest): Promise<ResyncView> {
    const id = await this.#registrations.register(request, newId('rsy', this.#effects));
    return readBack(await this.#views.resync(id, this.#effects.now()));
  }

  async registerAsked(request: ResyncRequest, leaseMs: number): Promise<ResyncCall[]> {
    const id = newId('rsy', this.#effects);
    return await this.#commit.run(() => {
      const now = this.#effects.now();
      const rows = this.#registrations.registerAsked(request, id, now);
      const { channel, messageIds, shown } = request;
      if (shown !== undefined)
        this.#shown.save({ channel, key: messageKey(channel, messageIds[0] ?? ''), message: shown }, null, now);
      return this.#calls.takeRegistered(rows, request.channel, request.messageIds, now, leaseMs);
    });
  }

  async registerUnlessRecent(request: ResyncRequest, withinMs: number): Promise<{ resyncId: string; isDue: boolean }> {
    const id = newId('rsy', this.#effects);
    return await this.#commit.run(() => {
      const now = this.#effects.now();
      return this.#registrations.registerUnlessRecent(request, id, now - withinMs, now);
    });
  }

  async takeCall(channel: string, prefer: ResyncCall['kind'], leaseMs: number): Promise<ResyncCall | null> {
    return await this.#commit.run(() => this.#calls.take(channel, prefer, this.#effects.now(), leaseMs));
  }

  async settleCall(call: ResyncCall, result: CallResult): Promise<void> {
    await this.#commit.run(() => this.#calls.settle(call, result, this.#effects.now()));
  }

  async pendingCalls(holder?: string): Promise<ChannelCalls[]> {
    const isFree = ({ channel }: ChannelCalls): boolean =>
      holder === undefined || !this.#turns.isHeldByOther(channel.name, holder);
    return await read(() => this.#calls.pendingCalls(this.#effects.now()).filter(isFree));
  }

  /** The worker calls this in each of its turns and mostly no window has run out: then it takes no commit. */
  async closeWindows(): Promise<number> {
    if (!(await read(() => this.#windows.isAnyOver(this.#effects.now())))) return 0;
    const closed = await this.#commit.run(() => this.#windows.close(this.#effects.now(), WINDOWS_PER_COMMIT));
    await read(() => this.#shown.refresh());
    return closed;
  }

  async cancel(id: string): Promise<ResyncView> {
    await this.#commit.run(() => this.#windows.cancel(id, this.#effects.now()));
    return readBack(await this.#views.resync(id, this.#effects.now()));
  }

  async list(page: PageRequest, filter: RunFilter<ResyncStatus> = {}): Promise<Page<ResyncView>> {
    return await read(async () => await this.#views.resyncs(page, filter, this.#effects.now()));
  }

  async get(id: string): Promise<ResyncView | null> {
    return await read(async () => await this.#views.resync(id, this.#effects.now()));
  }

  async states(range: { after: number; before: number }, limit: number): Promise<ResyncState[]> {
    return await read(() => this.#views.states(range, limit));
  }

  async stillRunning(ids: readonly string[]): Promise<ReadonlySet<string>> {
    return await read(() => this.#views.stillRunning(ids));
  }

  async messages(id: string, page: PageRequest, filter?: ResyncMessageFilter): Promise<Page<ResyncMessageView>> {
    return await read(async () => await this.#views.messages(id, page, filter));
  }

  async report(id: string): Promise<ResyncReport | null> {
    return await read(async () => await this.#views.report(id, this.#effects.now()));
  }
}
