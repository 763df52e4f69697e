-- Where a version of a saga stands in the order of commits.
SELECT notification_id FROM {schema}.events WHERE originator_id = %(saga_id)s AND originator_version = %(version)s
