-- no-transaction
-- A student's entries, for the comparison with their attempts; and without it the end of an account would read all
-- entries of everybody, since they go with their user.
create index concurrently leaderboard_entries_by_user on leaderboard_entries (user_id, test_id);
