-- The live vote of a student on a model: one row, also after a withdrawal (value 0), so that a vote that was held back or
-- rejected is not made a fresh one by withdrawing it. What was voted when is in vote_events. There are no foreign keys:
-- every vote would lock the one row of a popular model, and an account that is erased leaves its votes behind, unnamed.
create type vote_state as enum ('counted', 'held', 'rejected');

create table votes (
    id         uuid primary key,
    user_id    uuid not null,
    model_id   uuid not null,
    value      smallint not null check (value between -1 and 1),
    state      vote_state not null default 'counted',
    -- The periods for which it counts are those of this instant.
    cast_at    timestamptz not null,
    -- When an operator decided about it. A review leaves alone what was decided after it was cast.
    settled_at timestamptz,
    -- Why it is or was held back: [{rule, weight, detail}], and the rules alone, for the search.
    reasons    jsonb not null default '[]',
    rules      text[] not null default '{}',
    -- Suspicious votes share it that came from the same device on the same day, or network if nothing is known of the device.
    cluster    bytea,
    unique (user_id, model_id)
);

create index votes_set_aside on votes (state, id desc) where state <> 'counted';
create index votes_set_aside_of_model on votes (model_id, state, id desc) where state <> 'counted';
create index votes_by_cluster on votes (cluster, id) where cluster is not null;
