-- What an AI server wrote, by the SHA-256 of all it depends on: material, prompt, schema and model. Who asks for the same
-- again gets it without a call. Nothing personal stands here: the key knows no user, and neither does the text.
-- A claim is the right to ask for a result that is not there yet: others who want it wait for its holder.
create table ai_results (
    key          bytea primary key check (length(key) = 32),
    kind         text not null,
    model        text not null,
    result       jsonb not null,
    hits         bigint not null default 0,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz not null default now()
) with (fillfactor = 80);

create index ai_results_by_use on ai_results (last_used_at);

create table ai_claims (
    key        bytea primary key check (length(key) = 32),
    job_id     uuid not null,
    expires_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create index ai_claims_by_job on ai_claims (job_id);
