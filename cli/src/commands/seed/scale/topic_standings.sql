-- Each test is about one topic, and each attempt answers all of it.
insert into topic_standings (user_id, subject, topic, answered, correct, earned, possible, last_answered_at)
select user_id, practice_tests.subject, topic, 4 * count(*),
       sum(jsonb_array_length(jsonb_path_query_array(feedback, '$[*] ? (@.correct == true)'))), sum(score), sum(attempts.max_score),
       max(submitted_at)
from attempts join practice_tests on practice_tests.id = test_id
join questions on questions.test_id = attempts.test_id and questions.version = 1 and position = 1
where user_id between pg_temp.user_id($1) and pg_temp.user_id($2) and status = 'graded'
group by 1, 2, 3
