-- Of each kind some; the prompts are of a vocabulary that makes a search neither empty nor everything.
with words as (
    select array['acid', 'angle', 'atom', 'border', 'cell', 'climate', 'colony', 'crystal', 'current', 'debt', 'dialogue',
                 'electron', 'enzyme', 'equation', 'erosion', 'fossil', 'fraction', 'gravity', 'harvest', 'hormone', 'income',
                 'isotope', 'lens', 'market', 'membrane', 'metaphor', 'mineral', 'molecule', 'narrator', 'orbit', 'parliament',
                 'plateau', 'polygon', 'protein', 'river', 'tariff', 'theorem', 'treaty', 'vector', 'volcano'] as noun,
           array['common', 'constant', 'curved', 'dense', 'early', 'equal', 'foreign', 'inner', 'late', 'linear', 'moving',
                 'natural', 'negative', 'neutral', 'open', 'outer', 'rare', 'stable', 'thermal', 'unequal'] as adjective
), question as (
    select k, p, 100 * k + p as n,
           (case when k < {taken} then array['single_choice', 'single_choice', 'multiple_choice', 'numeric']
                 else array['single_choice', 'multiple_choice', 'numeric', 'free_text', 'single_choice'] end
           )[1 + (p - 1) % case when k < {taken} then 4 else 5 end]::question_kind as kind
    from generate_series($1::bigint, $2) as k, generate_series(1, pg_temp.questions_of(k)) as p
)
insert into questions (id, test_id, version, lineage, slug, position, kind, subject, topic, difficulty, prompt, choices, answer_key,
                       explanation, points)
select pg_temp.question_id(k, p), pg_temp.test_id(k), 1, pg_temp.question_id(k, p), 'q' || p, p, kind, pg_temp.subject(k), pg_temp.topic(k),
       1 + (pg_temp.chance(n, 20) * 3)::int % 3,
       format('What does the %s %s tell about the %s %s?', adjective[1 + n % 20], noun[1 + (pg_temp.chance(n, 21) * 40)::int % 40],
              adjective[1 + (pg_temp.chance(n, 22) * 20)::int % 20], noun[1 + (pg_temp.chance(n, 23) * 40)::int % 40]),
       case when kind in ('single_choice', 'multiple_choice') then
           jsonb_build_array(jsonb_build_object('id', 'a', 'text', 'It rises.'), jsonb_build_object('id', 'b', 'text', 'It falls.'),
                             jsonb_build_object('id', 'c', 'text', 'Neither.'), jsonb_build_object('id', 'd', 'text', 'Nobody knows.'))
       else '[]' end,
       case kind when 'numeric' then jsonb_build_object('number', n % 100, 'tolerance', 0.01)
                 when 'free_text' then '{"model_answer": "It rises, since it is warm.", "key_points":
                                         [{"id": "k1", "text": "It rises.", "terms": [["rises", "grows"]]}]}'::jsonb
                 else jsonb_build_object('choice_ids', jsonb_build_array(chr(97 + (n % 4)::int))) end,
       'It follows from the definition.', 250
from question, words
