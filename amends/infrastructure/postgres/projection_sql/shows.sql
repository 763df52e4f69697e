-- Whether the live copies of these projections show this version of the saga.
SELECT count(*) = cardinality(%(names)s::text[])
FROM {schema}.projections AS copy, {schema}.events AS event
WHERE copy.name = ANY (%(names)s::text[]) AND copy.state = 'live' AND event.originator_id = %(saga_id)s
    AND event.originator_version = %(version)s AND copy.position >= event.notification_id
