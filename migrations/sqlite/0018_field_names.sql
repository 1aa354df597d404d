-- One name for one thing: a poll proves a restored message, a fingerprint stands for the bytes of an item.
UPDATE resync_messages SET proof = 'poll' WHERE proof = 'look';
ALTER TABLE traces RENAME TO fingerprints;
ALTER TABLE ledger RENAME COLUMN trace TO fingerprint;
