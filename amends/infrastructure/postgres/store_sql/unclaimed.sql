-- What became of the latest events that found no saga, newest first.
SELECT message_id, saga, subject, key, became, at FROM {schema}.unclaimed ORDER BY seq DESC LIMIT %(limit)b
