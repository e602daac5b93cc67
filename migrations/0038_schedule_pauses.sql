-- An operator can let a schedule rest. A row without an end says that it rests now; the end of the last rest is kept, so
-- that ticks that fell into it are not taken for missed ones and fired late.
create table schedule_pauses (
    schedule   text primary key,
    paused_at  timestamptz not null default now(),
    resumed_at timestamptz,
    constraint a_rest_ends_after_it_began check (resumed_at >= paused_at)
);
