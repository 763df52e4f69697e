-- The time, and when to look for wake-ups again: for that of a saga that nobody has taken, or at the end of a lease. Only
-- what is due is ever taken, so both are found from the near end of the index.
SELECT statement_timestamp(), LEAST(
    (
        SELECT look_at FROM {schema}.sagas
        WHERE look_at IS NOT NULL
            AND quarantined_at IS NULL
            AND (unreadable IS NULL OR unreadable <@ %(topics)b::text[])
            AND (taken_until IS NULL OR taken_until <= statement_timestamp())
            AND (saga, definition) IN (SELECT * FROM unnest(%(sagas)b::text[], %(definitions)b::integer[]))
        ORDER BY look_at
        LIMIT 1
    ),
    (
        SELECT min(taken_until) FROM {schema}.sagas
        WHERE look_at <= statement_timestamp()
            AND quarantined_at IS NULL
            AND (unreadable IS NULL OR unreadable <@ %(topics)b::text[])
            AND taken_until > statement_timestamp()
            AND (saga, definition) IN (SELECT * FROM unnest(%(sagas)b::text[], %(definitions)b::integer[]))
    )
)
