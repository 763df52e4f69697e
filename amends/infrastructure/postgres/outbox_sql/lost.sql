-- The broker lost what it had: everything kept is to be published once more, under a fresh deduplication id.
UPDATE {schema}.outbox SET published_at = NULL, losses = losses + 1
WHERE published_at IS NOT NULL
