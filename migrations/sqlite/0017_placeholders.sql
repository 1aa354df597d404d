-- The item is a placeholder: released as itself, never in the place of the message that follows under the same id.
ALTER TABLE sightings ADD COLUMN placeholder INTEGER NOT NULL DEFAULT 0;
