-- A tick of a schedule is taken by inserting it in the transaction of its job: any number of schedulers fire once.
create table schedule_ticks (
    schedule text not null,
    tick     timestamptz not null,
    job_id   uuid not null,
    primary key (schedule, tick)
);
