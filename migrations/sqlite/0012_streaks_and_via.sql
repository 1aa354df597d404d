-- What ends a delivery early, counted over its attempts; and the gateways that a webhook has come through.
ALTER TABLE deliveries ADD COLUMN streak TEXT; -- JSON: consecutive attempts that failed in the same way; NULL: none that count
ALTER TABLE webhooks ADD COLUMN via TEXT;      -- x-gateway-via as it came; NULL: from Whapi itself
