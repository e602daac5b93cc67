-- How many students hold each whole number of points. A rank is the bands above plus the cells above within one band, at
-- most a hundred: without them a test of 100 points, marked to the hundredth, has 10,000 cells to add up at each look.
create table leaderboard_bands (
    test_id   uuid not null,
    period    leaderboard_period not null,
    starts_on date not null,
    band      integer not null,
    entries   bigint not null check (entries >= 0),
    primary key (test_id, period, starts_on, band)
) with (fillfactor = 50);

insert into leaderboard_bands (test_id, period, starts_on, band, entries)
select test_id, period, starts_on, score / 100, sum(entries) from leaderboard_histogram group by 1, 2, 3, 4;
