insert into ai_usage (user_id, day, model, requests, prompt_tokens, completion_tokens, cost_micros)
select user_id, (created_at at time zone 'UTC')::date, model, count(*), 900 * count(*), 350 * count(*), 1200 * count(*)
from study_aids where user_id between pg_temp.user_id($1) and pg_temp.user_id($2) and made_by = 'ai' group by 1, 2, 3
