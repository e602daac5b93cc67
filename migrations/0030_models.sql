-- The AI models whose help students rate. The slug is their name in paths. A model is never deleted, since votes name it;
-- one that is not active takes no votes and is left out of the ranking.
create table models (
    id          uuid primary key,
    slug        text not null unique check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 64),
    name        text not null,
    description text not null,
    active      boolean not null default true,
    created_at  timestamptz not null default now()
);
