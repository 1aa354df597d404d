import { RULE } from '../../intake/judge.js';
import type { Judgement } from '../../model.js';
import type { PastItem } from '../history.js';
import type { Evidence } from '../items.js';
import { itemId } from './ids.js';
import { recalled } from './recalled.js';

/** Rows of which the evidence tells more: what a late message was compared with, and `deliver_unseen`. */
export function needsEvidence(rule: number): boolean {
  return rule === RULE.late || rule === RULE.registered;
}

/** @param evidence null: its row needs none */
export function pastItem(
  row: Judgement & { readonly webhook_id: number; readonly position: number },
  evidence: Pick<Evidence, 'late' | 'firstItemId' | 'registrations'> | null,
): PastItem {
  const { verdict, rule } = row;
  const id = itemId({ webhookId: row.webhook_id, position: row.position });
  const isUnseen = rule === RULE.registered && evidence?.firstItemId === id;
  const recover = isUnseen && evidence.registrations.some(({ deliverUnseen }) => deliverUnseen);
  return { id, verdict, rule, memory: recalled(rule, evidence?.late ?? null), recover };
}
