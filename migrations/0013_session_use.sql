-- A session also ends when it is not used for some time. `idle_at` is when that would be; with the last use it is moved
-- ahead, at most once in some minutes, so that reading costs no write. Sessions from before this have only their end.
alter table sessions
    add column last_seen_at timestamptz not null default now(),
    add column idle_at      timestamptz not null default 'infinity';

-- What closes stale sessions looks for either end.
drop index sessions_by_expiry;
create index sessions_by_end on sessions (least(expires_at, idle_at));
