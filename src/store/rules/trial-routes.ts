import type { Document } from '../../intake/decode.js';
import { cutter, route, subscribes } from '../../intake/route.js';
import type { JudgedItem } from '../../intake/route.js';
import type { Target } from '../../model.js';
import type { Sliced } from '../../slices.js';
import type { TrialRoute } from '../judging.js';

/** Bodies that one slice cuts: some milliseconds. */
const BODIES_PER_SLICE = 100;

/** What each target that subscribes would be sent of a webhook. */
export function* trialRoutes(
  document: Document,
  judged: readonly JudgedItem[],
  channel: string,
  targets: readonly Target[],
): Sliced<TrialRoute[]> {
  const { cut, mostParts } = cutter(document);
  const found: TrialRoute[] = [];
  for (const target of targets.filter((each) => subscribes(each, channel, document.event))) {
    yield;
    const { routes, held } = route(judged, document.event, channel, [target], mostParts);
    const requests: { positions: readonly number[]; bytes: number }[] = [];
    for (const { positions, whole } of routes) {
      requests.push({ positions, bytes: whole ? document.body.length : cut(positions).length });
      if (requests.length % BODIES_PER_SLICE === 0) yield;
    }
    found.push({ targetId: target.id, name: target.name, requests, held: [...held] });
  }
  return found;
}
