-- Forgets held messages that have been handled.
DELETE FROM {schema}.held WHERE message_id = ANY (%(ids)b::text[])
