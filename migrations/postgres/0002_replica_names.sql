ALTER TABLE gateway.replicas
  ADD COLUMN name     text, -- host and port; NULL: it does not listen yet, or is of an older version
  ADD COLUMN settings text NOT NULL DEFAULT '{}'; -- JSON: fingerprints of the settings that all must share, by name
