-- A delivery that a person's release made, not the recording of its webhook.
ALTER TABLE deliveries ADD COLUMN released INTEGER NOT NULL DEFAULT 0;

-- The held sightings of one message, the first one included: reports and releases look them up by its key.
CREATE INDEX sightings_held_messages ON sightings (message_key) WHERE held = 1 AND carrier = 'messages';

-- Releases that were asked for before other items could be released.
UPDATE jobs SET filter = json_set(filter, '$.messagesOnly', json('true')) WHERE kind = 'release';
