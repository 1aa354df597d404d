-- Secrets of a target that sign beside the newest one until they expire, newest first.
ALTER TABLE targets ADD COLUMN previous_secrets TEXT NOT NULL DEFAULT '[]'; -- JSON: [{ secret (encrypted), expiresAt }]

-- From here on `headers` is encrypted; what is there in the clear is sealed at the next start (src/gateway.ts). Removed
-- targets need theirs no more.
UPDATE targets SET headers = '' WHERE removed_at IS NOT NULL;
