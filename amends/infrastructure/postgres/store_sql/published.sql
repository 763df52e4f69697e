-- Forgets messages that the broker has.
DELETE FROM {schema}.outbox WHERE message_id = ANY (%(ids)b::text[])
