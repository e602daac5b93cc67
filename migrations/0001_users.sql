-- Who may use Bellwork. The address is stored lower-cased, so that one person cannot register twice by its case.
create type user_role as enum ('student', 'admin');

create table users (
    id            uuid primary key,
    email         text not null unique check (email = lower(email)),
    display_name  text not null,
    role          user_role not null default 'student',
    password_hash text not null,
    created_at    timestamptz not null default now()
);
