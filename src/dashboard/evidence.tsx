import { evidenceFacts } from '../contract/explained-words.js';
import type { Evidence as EvidenceJson } from '../contract/items.js';
import { Facts } from './facts.js';
import { Pieces } from './pieces.js';

/** The rows that a verdict rests on: the registration, the first sighting, the item that it repeats, the newest of its chat. */
export function Evidence({ evidence }: { readonly evidence: EvidenceJson }) {
  const facts = evidenceFacts(evidence);
  if (facts.length === 0) return null;
  return (
    <div class="evidence">
      <Facts facts={facts.map(([label, value]) => [label, <Pieces key={label} pieces={value} />])} />
    </div>
  );
}
