-- E-mails that were sent.
CREATE TABLE notifications (order_id text PRIMARY KEY, text text NOT NULL);
