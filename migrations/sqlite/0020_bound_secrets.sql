-- Secrets are bound to their row and column. A migration has no key, so the next start seals them anew and sets this to '2'.
INSERT INTO meta (key, value) VALUES ('secrets_version', '1');
