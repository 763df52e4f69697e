-- Where the fold of these sagas stands.
SELECT saga_id, state FROM {copy}.begun WHERE saga_id = ANY (%(ids)b::uuid[])
