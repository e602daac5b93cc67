-- What calls to AI servers used and cost, per user, day (UTC) and model; money in millionths of the currency of AI_PRICES.
-- ai_spending is what budgets are checked against, in one row per user and day, and one (the nil id) for the whole
-- installation: spent, and reserved for calls that are under way. ai_calls holds the calls under way: a row goes with the
-- end of its call, in the transaction that counts it, so that each is counted once.
create table ai_usage (
    user_id           uuid not null references users on delete cascade,
    day               date not null,
    model             text not null,
    requests          bigint not null default 0,
    prompt_tokens     bigint not null default 0,
    completion_tokens bigint not null default 0,
    cost_micros       bigint not null default 0,
    primary key (user_id, day, model)
) with (fillfactor = 70);

create index ai_usage_by_day on ai_usage (day, user_id, model);

create table ai_spending (
    account         uuid not null,
    day             date not null,
    spent_micros    bigint not null default 0,
    reserved_micros bigint not null default 0 check (reserved_micros >= 0),
    primary key (account, day)
) with (fillfactor = 50);

create table ai_calls (
    id              uuid primary key,
    job_id          uuid not null,
    user_id         uuid,
    day             date not null,
    model           text not null,
    reserved_micros bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create index ai_calls_by_job on ai_calls (job_id);
