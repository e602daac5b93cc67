-- Personal API tokens: what a student's own programs sign in with. Only the SHA-256 of a token is stored. Scopes are
-- names of the program's table; one that it does not know grants nothing.
create table api_tokens (
    id           uuid primary key,
    user_id      uuid not null references users on delete cascade,
    token_hash   bytea not null unique check (length(token_hash) = 32),
    name         text not null,
    scopes       text[] not null check (cardinality(scopes) > 0),
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    last_used_at timestamptz
);

create index api_tokens_by_user on api_tokens (user_id, id desc);
