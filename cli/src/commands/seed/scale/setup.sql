-- What the statements of a load share. Everything is a function of a number: who took what, when, and how well. So a row
-- can be named before it exists, no look-up is needed, and two loads of one size differ only in their clock.
-- Instants are milliseconds since 1970: only then does PostgreSQL write these functions into the statements that call them.

-- The numbers of this load, and its two years up to {until}.
create function pg_temp.users() returns bigint language sql immutable as 'select {users}::bigint';
create function pg_temp.attempts() returns bigint language sql immutable as 'select {attempts}::bigint';
create function pg_temp.tests() returns bigint language sql immutable as 'select {tests}::bigint';
create function pg_temp.until() returns bigint language sql immutable as 'select {until}::bigint';
create function pg_temp.span() returns bigint language sql immutable as 'select 63072000000::bigint';
create function pg_temp.day() returns bigint language sql immutable as 'select 86400000::bigint';
create function pg_temp.at(ms bigint) returns timestamptz language sql immutable as 'select to_timestamp(ms / 1000.0::float8)';

-- A share from 0 to 1 that looks like chance; `salt` keeps apart what must not go together.
create function pg_temp.chance(n bigint, salt bigint) returns double precision language sql immutable as
    'select (hashint8extended(n, salt) & 1099511627775)::float8 / 1099511627776';

-- The UUIDv7 of an instant.
create function pg_temp.uuid7(ms bigint, n bigint, salt bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(hashint8extended(n, salt) & 4095), 3, '0')
            || '8' || lpad(to_hex(hashint8extended(n, salt + 1000) & 1152921504606846975), 15, '0'))::uuid
$$;

-- Users register evenly. The first has much of everything.
create function pg_temp.registered(n bigint) returns bigint language sql immutable as
    'select pg_temp.until() - pg_temp.span() + (n - 1) * pg_temp.span() / pg_temp.users()';
create function pg_temp.user_id(n bigint) returns uuid language sql immutable as
    'select pg_temp.uuid7(pg_temp.registered(n), n, 1)';

-- So do attempts. Of the users who are there by then the early ones are the busiest, as one over the square root of
-- their number; of the tests the first are taken most, as one over theirs.
create function pg_temp.submitted(i bigint) returns bigint language sql immutable as
    'select pg_temp.until() - pg_temp.span() + i * pg_temp.span() / pg_temp.attempts()';
create function pg_temp.taker(i bigint) returns bigint language sql immutable as $$
    select 1 + floor(greatest(1, pg_temp.users() * i / pg_temp.attempts()) * power(pg_temp.chance(i, 2), 2))::bigint
$$;
create function pg_temp.taken(i bigint) returns bigint language sql immutable as
    'select floor(power({taken}, pg_temp.chance(i, 3)))::bigint';
create function pg_temp.attempt_id(i bigint) returns uuid language sql immutable as
    'select pg_temp.uuid7(pg_temp.submitted(i), i, 4)';
create function pg_temp.job_id(i bigint, step bigint) returns uuid language sql immutable as
    'select pg_temp.uuid7(pg_temp.submitted(i) + 400 * step, i, 10 + step)';

-- Tests are older than the first user. Those that are taken have four questions, so that millions of attempts fit on a
-- common disk; the others fill the question bank.
create function pg_temp.written(k bigint) returns bigint language sql immutable as
    'select pg_temp.until() - pg_temp.span() - pg_temp.day() + k * 1000';
create function pg_temp.test_id(k bigint) returns uuid language sql immutable as
    'select pg_temp.uuid7(pg_temp.written(k), k, 5)';
create function pg_temp.questions_of(k bigint) returns bigint language sql immutable as
    'select case when k < {taken} then 4 else 20 end::bigint';
create function pg_temp.question_id(k bigint, p bigint) returns uuid language sql immutable as
    'select pg_temp.uuid7(pg_temp.written(k), 100 * k + p, 6)';
create function pg_temp.subject(k bigint) returns text language sql immutable as $$
    select (array['mathematics', 'biology', 'physics', 'chemistry', 'history', 'geography', 'reading', 'economics'])[1 + k % 8]
$$;
create function pg_temp.topic(k bigint) returns text language sql immutable as $$
    select pg_temp.subject(k) || '-' || (array['basics', 'measures', 'changes', 'causes', 'models', 'systems', 'sources', 'terms',
                                               'proofs', 'limits', 'cycles', 'maps'])[1 + k / 8 % 12]
$$;

-- The models that are voted on, and the share of the users who vote on each: the first are the best known.
create function pg_temp.model_id(m bigint) returns uuid language sql immutable as
    'select pg_temp.uuid7(pg_temp.until() - pg_temp.span() - pg_temp.day() + m, m, 7)';
create function pg_temp.voters(m bigint) returns double precision language sql immutable as
    'select {voters}::float8 / sqrt(m)';

-- What can be answered to each test that is taken, and what comes of it: an attempt is one of {sheets} of its test.
create temp table sheets (
    test bigint, sheet bigint, answers jsonb not null, feedback jsonb not null, score integer not null, primary key (test, sheet)
);

-- The months of the ledger and of the history of votes that are filled.
select ensure_vote_events_partition(day::date),
       case when day > pg_temp.at(pg_temp.until() - 62 * pg_temp.day()) then ensure_jobs_partition(day::date) end
from generate_series(date_trunc('month', pg_temp.at(pg_temp.until() - pg_temp.span())), pg_temp.at(pg_temp.until()), interval '1 month') as day;
