with own as (
    select score, score / 100 as band from leaderboard_entries
    where test_id = $1 and period = 'all' and starts_on = '1970-01-01' and user_id = $2
), bands as (
    select sum(entries) as total, sum(entries) filter (where band > (select band from own)) as above
    from leaderboard_bands where test_id = $1 and period = 'all' and starts_on = '1970-01-01'
), cells as (
    select sum(entries) filter (where score > (select score from own)) as above,
           sum(entries) filter (where score = (select score from own)) as equal
    from leaderboard_histogram
    where test_id = $1 and period = 'all' and starts_on = '1970-01-01'
          and score >= (select score from own) and score < (select 100 * (band + 1) from own)
), counts as (
    select coalesce(bands.above, 0) + coalesce(cells.above, 0) as above, coalesce(equal, 0) as equal, total
    from bands, cells
)
select score / 100.0::float8 as score, 1 + above::int as rank,
       round(100 * (total - above - equal + equal / 2) / nullif(total, 0), 1)::float8 as percentile
from own, counts
