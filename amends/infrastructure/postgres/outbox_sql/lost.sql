-- The broker lost what it had: everything kept is to be published once more, under a fresh deduplication id.
-- Also what is not marked yet: it may be on its way to being marked, and was lost all the same.
UPDATE {schema}.outbox SET published_at = NULL, losses = losses + 1
