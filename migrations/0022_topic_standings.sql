-- What a student knows of each topic, moved on by the transaction that stores a result: weak topics are then a look at a
-- few rows, however many tests the student has taken. Points are hundredths.
create table topic_standings (
    user_id          uuid not null references users on delete cascade,
    subject          text not null,
    topic            text not null,
    answered         integer not null check (answered > 0),
    correct          integer not null check (correct between 0 and answered),
    earned           bigint not null check (earned >= 0),
    possible         bigint not null check (possible >= earned),
    last_answered_at timestamptz not null,
    primary key (user_id, subject, topic)
) with (fillfactor = 80);
