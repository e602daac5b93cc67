-- What every process of one installation must agree on and nobody should have to configure.
-- stream_epoch is half of each event id. After a restore from a backup, `update installation set stream_epoch = default`
-- tells clients that hold later sequence numbers than the database to reload instead of waiting for ever.
-- cursor_key signs the cursors of lists.
create table installation (
    only_row     boolean primary key default true check (only_row),
    stream_epoch text not null default substr(replace(gen_random_uuid()::text, '-', ''), 1, 8),
    cursor_key   text not null default gen_random_uuid()::text || gen_random_uuid()::text
);

insert into installation default values;
