-- Why a message became a dead letter.
SELECT reason FROM {schema}.dead_letters WHERE message_id = %(id)b
