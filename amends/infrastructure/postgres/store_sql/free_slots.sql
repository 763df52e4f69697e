-- Sagas that ended, or wait for a person, leave their slots.
DELETE FROM {schema}.slots WHERE saga_id = ANY (%(saga_ids)b::uuid[])
