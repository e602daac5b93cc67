-- The key becomes the index that was just made; what it replaces goes, so that a new best writes two indexes instead of three.
alter table leaderboard_entries
    drop constraint leaderboard_entries_pkey,
    add constraint leaderboard_entries_pkey primary key using index leaderboard_entry_of_user;
drop index leaderboard_entries_by_user;
