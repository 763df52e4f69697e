-- All marks.
SELECT stream, created, sequence, message_id FROM {schema}.marks
