-- To remove the claims of a removed channel.
CREATE INDEX claims_by_channel ON claims (channel);
