-- A student may keep their name off the leaderboards. It stands with the user, whose row every list of names reads
-- anyway: one changed row takes effect on all boards at once, however many the student is on.
alter table users add column leaderboard_visible boolean not null default true;
