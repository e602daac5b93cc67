-- A session is an opaque token of 256 bits. Only its SHA-256 is stored, so a leaked table opens no account.
create table sessions (
    id         uuid primary key,
    user_id    uuid not null references users on delete cascade,
    token_hash bytea not null unique check (length(token_hash) = 32),
    user_agent text not null default '',
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

create index sessions_by_user on sessions (user_id, id desc);
create index sessions_by_expiry on sessions (expires_at);
