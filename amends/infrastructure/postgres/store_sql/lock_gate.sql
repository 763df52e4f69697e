-- A participant's limits and gate, kept from other workers until the commands are released.
SELECT rules, gate, seen_at >= clock_timestamp() - %(in_force)b::interval
FROM {schema}.participant_limits
WHERE participant = %(participant)b::text
FOR UPDATE
