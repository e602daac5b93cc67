-- The report of an import, row by row: what its file holds that a test cannot. Written once, in the transaction that ends
-- the import, and read in the order of its rows.
create type import_severity as enum ('lost', 'changed');

create table import_problems (
    import_id uuid not null references imports on delete cascade,
    row       integer not null,
    line      integer,
    question  text not null,
    pointer   text not null,
    severity  import_severity not null,
    detail    text not null,
    hint      text not null,
    primary key (import_id, row)
);
