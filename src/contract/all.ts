import type { TSchema } from 'typebox';
import * as audits from './audits.js';
import * as claims from './claims.js';
import * as channels from './channels.js';
import * as connect from './connect.js';
import * as deliveries from './deliveries.js';
import * as doctor from './doctor.js';
import * as feed from './feed.js';
import * as fields from './fields.js';
import * as health from './health.js';
import * as items from './items.js';
import * as judge from './judge.js';
import * as jobs from './jobs.js';
import * as messages from './messages.js';
import * as previews from './previews.js';
import * as problem from './problem.js';
import * as probes from './probes.js';
import * as resyncs from './resyncs.js';
import * as session from './session.js';
import * as stats from './stats.js';
import * as targets from './targets.js';
import * as webhooks from './webhooks.js';
import * as whapi from './whapi.js';

export type NamedSchema = TSchema & { readonly $id: string };

const RESOURCES = [
  ...[audits, channels, claims, connect, deliveries, doctor, feed, fields, health],
  ...[items, jobs, judge, messages, previews, probes, problem, resyncs, session, stats, targets, webhooks, whapi],
];

/** Every schema that has a name, for the server's validators and serializers to look up. */
export const NAMED_SCHEMAS: readonly NamedSchema[] = RESOURCES.flatMap((resource) =>
  Object.values<unknown>(resource).filter(isNamed),
);

function isNamed(exported: unknown): exported is NamedSchema {
  return typeof exported === 'object' && exported !== null && '$id' in exported;
}
