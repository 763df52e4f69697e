-- A key's row is written twice in a transaction, the second time with its answer: room for both on one page, so that
-- the second needs no new entries in the indexes. With less of it more pages are used, not fewer.
ALTER TABLE keys SET (fillfactor = 45);
