-- no-transaction
-- The words of all questions. PostgreSQL never combines two partial indexes that share a condition: beside `where listed` on
-- all of them, a search for words with filters read each question that holds the words, ten thousand for a common one. Without
-- it on this one, the other indexes narrow the words down first. `bank_search` stays for words alone: it holds no versions that
-- are not listed any more.
create index concurrently bank_by_words on questions using gin (search);
