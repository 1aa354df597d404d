import { describe, expect, it } from 'vitest';
import {
  evidenceFacts,
  labelledReason,
  labelledStep,
  lengthText,
  runsOf,
  summaryOf,
} from '../src/contract/explained-words.js';
import type { Piece } from '../src/contract/explained-words.js';
import type { Explanation, Sighting } from '../src/contract/messages.js';

type Resync = Explanation['resyncs'][number];
type Delivery = Explanation['deliveries'][number];

const textOf = (pieces: readonly Piece[]): string =>
  pieces
    .map((piece) => {
      if (typeof piece === 'string') return piece;
      if ('at' in piece) return piece.at ?? piece.none ?? '–';
      return 'status' in piece ? piece.status : piece.id;
    })
    .join('');

const NOTHING = {
  ...{ resyncs: [], registrations: [], first_seen_at: null, first_webhook: null, first_item: null, seeded_at: null },
  ...{ earlier: null, late: null, same_as: null, replay: null },
};

describe('the words of an explanation', () => {
  it('name a step once', () => {
    expect(labelledStep({ at: 'T1', kind: 'asked', text: 'asked Whapi to bring it back (call 1)' })).toEqual([
      'Asked',
      'Whapi to bring it back (call 1)',
    ]);
    expect(labelledStep({ at: 'T1', kind: 'attempt', text: 'delivery dlv_1 sent: it answered 200' })[0]).toBe('Sent');
  });

  it('have one fact for each thing that a verdict rests on', () => {
    const registration = { resync: 'rsy_1', registered_at: 'T1', asked_at: null, window_closes_at: 'T2' };
    const facts = evidenceFacts({
      ...NOTHING,
      same_as: 'p.other',
      registrations: [{ ...registration, deliver_unseen: true }],
      ...{ first_seen_at: 'T3', first_webhook: 'whk_1', seeded_at: 'T4' },
      earlier: { recorded_at: 'T5', webhook: 'whk_2', item: null },
      late: { sent_at: 'T6', newest_sent_at: null, newest_received_at: 'T7', late_after_seconds: 60 },
      replay: { sent_at: 'T8', began_at: 'T9', replay_after_seconds: 432_000 },
    });
    expect(facts.map(([label, value]) => `${label}: ${textOf(value)}`)).toEqual([
      'Registered as: p.other',
      'Registered by: rsy_1 T1, asked not yet, window closes T2, unseen messages are delivered',
      'First sighting: T3 whk_1',
      'Seeded: T4',
      'Repeats: the item recorded T5 whk_2',
      'Sent: T6',
      'Newest of its chat: sent –, received T7',
      'Late after: 1 min',
      'Sent: T8',
      'Part of a replay since: T9',
      'Old after: 5 d',
    ]);
    expect(evidenceFacts(NOTHING)).toEqual([]);
  });

  it.each([
    [0, '0 s'],
    [90, '1 min 30 s'],
    [900, '15 min'],
    [5400, '1 h 30 min'],
    [432_000, '5 d'],
    [90_061, '1 d 1 h 1 min 1 s'],
  ])('show a length of %i seconds exactly, in larger units', (seconds, text) => {
    expect(lengthText(seconds)).toBe(text);
  });

  it('do not call the reason of a delivery that was not sent an error', () => {
    expect(labelledReason('Not sent: a newer message of its chat waits.')).toEqual([
      'Not sent',
      'a newer message of its chat waits.',
    ]);
    expect(labelledReason('The target answered 500.')).toEqual(['Last error', 'The target answered 500.']);
  });

  it('say that no webhook came, and which audits know the message', () => {
    const found = { channel: 'main', message_id: 'one', ledger: null, timeline: [], sightings: [], resyncs: [], deliveries: [], claim: null }; // prettier-ignore
    const audits = [{ audit: 'aud_1', found_at: 'T1', released_at: 'T2' }];
    expect(textOf(summaryOf({ ...found, audits }))).toBe('No webhook has carried this message yet.');
    expect(runsOf({ ...found, audits }).map(textOf)).toEqual(['aud_1 found it missing T1 and released it T2']);
  });

  it('count the deliveries of a message that did not succeed, by their status', () => {
    const found = { channel: 'main', message_id: 'one', ledger: null, timeline: [], audits: [], claim: null, resyncs: [] }; // prettier-ignore
    const sightings = [{ verdict: 'new', held: false, reason: 'never seen before' } as Sighting];
    const deliveries = ['superseded', 'delivered', 'pending', 'superseded'].map((status) => ({ status }) as Delivery);
    expect(textOf(summaryOf({ ...found, sightings, deliveries }))).toBe(
      'Never seen before. 1 of 4 deliveries succeeded (2 superseded, 1 pending).',
    );
  });

  it('say that a held message was not sent, and count one call as one', () => {
    const sighting = { verdict: 'restored', rule: 3, held: true, reason: 'its id is registered' } as Sighting;
    const run = { resync: 'rsy_1', status: 'restored', calls: 1, polls: 0, window_closes_at: 'T2' } as Resync;
    const found = { channel: 'main', message_id: 'one', ledger: null, timeline: [], audits: [], claim: null, deliveries: [] }; // prettier-ignore
    const held = { ...found, sightings: [sighting], resyncs: [run] };
    expect(textOf(summaryOf(held))).toBe('Its id is registered. Not sent to any target.');
    expect(runsOf(held).map(textOf)).toEqual(['rsy_1 restored: 1 call, 0 polls, window closes T2']);
  });
});
