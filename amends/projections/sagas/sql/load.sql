-- Where the fold of these sagas stands.
SELECT saga_id, state FROM {copy}.sagas WHERE saga_id = ANY (%(ids)b::uuid[])
