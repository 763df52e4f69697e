-- How many slots of a saga type are taken.
SELECT count(*) FROM {schema}.taken_slots WHERE saga = %(saga)b::text
