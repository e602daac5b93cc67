-- no-transaction
-- One entry by its user, with what a look at it wants. By test first, the planner took the ranking for as good, and read a
-- whole board for one of its entries wherever most boards are small. Replaces the primary key and the index by user.
create unique index concurrently leaderboard_entry_of_user
    on leaderboard_entries (user_id, test_id, period, starts_on) include (score, achieved_at);
