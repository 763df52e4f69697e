-- The time, and the next wake-up: of a saga that nobody has taken, or the end of a lease. Only what is due is ever
-- taken, so both are found from the near end of the index on wake-ups.
SELECT statement_timestamp(), LEAST(
    (
        SELECT wake_up FROM {schema}.sagas
        WHERE wake_up IS NOT NULL
            AND quarantined_at IS NULL
            AND (unreadable IS NULL OR unreadable <@ %(topics)b::text[])
            AND (taken_until IS NULL OR taken_until <= statement_timestamp())
            AND (saga, definition) IN (SELECT * FROM unnest(%(sagas)b::text[], %(definitions)b::integer[]))
        ORDER BY wake_up
        LIMIT 1
    ),
    (
        SELECT min(taken_until) FROM {schema}.sagas
        WHERE wake_up <= statement_timestamp()
            AND quarantined_at IS NULL
            AND (unreadable IS NULL OR unreadable <@ %(topics)b::text[])
            AND taken_until > statement_timestamp()
            AND (saga, definition) IN (SELECT * FROM unnest(%(sagas)b::text[], %(definitions)b::integer[]))
    )
)
