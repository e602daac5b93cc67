-- How much of a question is earned: all for a share that differs from sheet to sheet, else a part of it.
with answer as (
    select k, s, p, pg_temp.question_id(k, p) as question,
           case when earned < 0.2 + 0.7 * pg_temp.chance(s, 31) then 250 else floor(250 * earned)::int end as points
    from generate_series($1::bigint, $2) as k, generate_series(0, {sheets} - 1) as s, generate_series(1, 4) as p,
         lateral (select pg_temp.chance((100 * k + p) * {sheets} + s, 30) as earned) as _
)
insert into sheets (test, sheet, answers, feedback, score)
select k, s,
       jsonb_agg(case p when 4 then jsonb_build_object('question_id', question, 'number', points)
                        else jsonb_build_object('question_id', question, 'choice_ids', jsonb_build_array(chr(97 + points % 4))) end
                 order by p),
       jsonb_agg(jsonb_build_object('question_id', question, 'correct', points = 250, 'points', points / 100.0,
                                    'comment', '', 'graded_by', 'exact') order by p),
       sum(points)
from answer group by k, s
