-- Where the fold of these sagas stands.
SELECT saga_id::text, state FROM {copy}.begun WHERE saga_id = ANY (%(ids)b::text[]::uuid[])
