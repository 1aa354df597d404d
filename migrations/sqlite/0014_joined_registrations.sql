-- One id has one open registration, which several resyncs share. NULL: its window is as long as its resync says; set
-- where a client's own call joined a registration with a shorter one.
ALTER TABLE resync_messages ADD COLUMN window_seconds INTEGER;
