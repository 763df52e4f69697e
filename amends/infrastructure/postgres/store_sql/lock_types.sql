-- How many sagas of these types may run at once, kept from other workers until slots are reserved.
SELECT saga, at_once, seen_at >= clock_timestamp() - %(in_force)b::interval
FROM {schema}.type_limits
WHERE saga = ANY (%(sagas)b::text[])
ORDER BY saga
FOR UPDATE
