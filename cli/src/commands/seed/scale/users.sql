-- Nobody can sign in to these accounts: no password has this hash.
insert into users (id, email, display_name, password_hash, leaderboard_visible, created_at, email_verified_at)
select pg_temp.user_id(n), 'student' || n || '@scale.example',
       (array['Ada', 'Alan', 'Barbara', 'Donald', 'Edsger', 'Frances', 'Grace', 'John', 'Katherine', 'Niklaus'])[1 + n % 10] || ' ' || n,
       '!', pg_temp.chance(n, 40) > 0.02, pg_temp.at(pg_temp.registered(n)),
       case when pg_temp.chance(n, 41) < 0.9 then pg_temp.at(pg_temp.registered(n) + 600000) end
from generate_series($1::bigint, $2) as n
