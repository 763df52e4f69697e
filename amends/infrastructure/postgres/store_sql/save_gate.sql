-- What a participant's gate remembers.
UPDATE {schema}.participant_limits SET gate = %(gate)b::text::jsonb WHERE participant = %(participant)b::text
