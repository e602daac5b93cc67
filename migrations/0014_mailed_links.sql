-- One-time links that were mailed: who holds the token of one has read the mail. There is one per user and purpose, so
-- that sending a new one voids the old by itself. `token` stands here only from the making of the link until its mail
-- has left, so that a mail that is sent again says the same; after that only the SHA-256 is left. `sends` counts what was
-- sent since `counted_from`, so that nobody can fill another's mailbox.
create type link_purpose as enum ('verify_email', 'reset_password');

create table mailed_links (
    user_id      uuid not null references users on delete cascade,
    purpose      link_purpose not null,
    job_id       uuid not null,
    token_hash   bytea not null unique check (length(token_hash) = 32),
    token        bytea check (length(token) = 32),
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    used_at      timestamptz,
    sends        smallint not null default 1,
    counted_from timestamptz not null default now(),
    primary key (user_id, purpose)
);
