-- What is written about a student's own words may repeat them, and is kept with the student from now on, to be erased with
-- them. Of the explanations that were kept for all nobody can tell which do: they go, and are made again when asked for.
delete from ai_results where kind = 'explain_answer';
