import { newId } from '../../effects.js';
import type { Effects } from '../../effects.js';
import { GatewayError } from '../../errors.js';
import type { SqliteAuditRelease } from './audit-release.js';
import type { SqliteAuditViews } from './audit-views.js';
import { FIRST_PLACE } from './audits.js';
import type { Place, SqliteAudits } from './audits.js';
import type { GroupCommit } from './group-commit.js';
import type { AuditRelease, AuditView, Audits } from '../audits.js';

/** Small enough that webhooks hardly wait: each is looked up in the ledger, and written or recorded. */
const MESSAGES_PER_COMMIT = 250;
const RELEASED_PER_COMMIT = 100;

export interface AuditParts {
  readonly audits: SqliteAudits;
  readonly release: SqliteAuditRelease;
  readonly views: SqliteAuditViews;
  readonly commit: GroupCommit;
}

/** Audits as the rest of the program sees them. */
export function auditOperations(
  { audits, release, views, commit }: AuditParts,
  effects: Pick<Effects, 'now' | 'randomBytes'>,
): Omit<Audits, 'list' | 'get' | 'messages'> {
  const { now } = effects;

  const found = (id: string): AuditView => {
    const view = views.audit(id);
    if (!view) throw new GatewayError('GW_INTERNAL', 'What was just written could not be read.');
    return view;
  };

  return {
    begin: async (request) => {
      const id = newId(request.kind === 'seed' ? 'sed' : 'aud', effects);
      await commit.run(() => audits.begin(request, id, now()));
      return found(id);
    },
    running: async () => await Promise.resolve(audits.running()),
    noteWindow: async (id, messages, walk) => await commit.run(() => audits.noteWindow(id, messages, walk, now())),
    noteTrouble: async (id, words) => await commit.run(() => audits.noteTrouble(id, words)),
    end: async (id, error) => {
      await fromFirstToLast(async (after) => await commit.run(() => audits.recheck(id, after, MESSAGES_PER_COMMIT)));
      await commit.run(() => audits.end(id, error, now()));
    },
    cancel: async (id) => {
      await commit.run(() => audits.cancel(id, now()));
      return found(id);
    },
    release: async (id, targetIds, dryRun) => {
      const sum = { messages: 0, cameMeanwhile: 0, deliveries: 0 };
      await fromFirstToLast(async (after) => {
        const step = { dryRun, after, limit: RELEASED_PER_COMMIT };
        const some = await commit.run(() => release.some(id, targetIds, step, now()));
        sum.messages += some.messages;
        sum.cameMeanwhile += some.cameMeanwhile;
        sum.deliveries += some.deliveries;
        return some.last;
      });
      return sum satisfies AuditRelease;
    },
  };
}

/** One small step after the other, each in a commit of its own, until one says that nothing is left. */
async function fromFirstToLast(step: (after: Place) => Promise<Place | null>): Promise<void> {
  let after: Place | null = FIRST_PLACE;
  while (after !== null) after = await step(after);
}
