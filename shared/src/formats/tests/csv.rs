//! What becomes of cells that can be read in more ways than one, and of those that are broken.

use super::*;
use crate::content::bounds::{MAX_CHOICES, MAX_QUESTIONS};
use crate::formats::names::choice_id;
use crate::practice_tests::{Choice, ChoicesKey};

fn csv(file: &str) -> Reading {
    read_as(find("csv").unwrap(), file.as_bytes())
}

/// The ids of the choices that are right in the only question of `file`; none if it was left out.
fn right(file: &str) -> Option<Vec<String>> {
    let reading = csv(file);
    let question = reading.questions.into_iter().next()?;
    match question.answer {
        AnswerKey::Choices(key) => Some(key.choice_ids),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_is_the_text_of_a_choice_before_it_is_letters() {
    for (kind, choices, answer, expected) in [
        ("multiple_choice", "a dog;a cat;a cow", "a cat", Some(&["b"][..])),
        ("single_choice", "a dog;a cat;a cow", "a cat", Some(&["b"])),
        ("", "red, green;blue;white", "red, green", Some(&["a"])),
        ("single_choice", "2;3;4;5", "5", Some(&["d"])),
        ("single_choice", "1;2;3", "2", Some(&["b"])),
        ("single_choice", "2;3;4;5", "4", None),
        ("single_choice", "2;3;4;5", "c;", Some(&["c"])),
        ("single_choice", "B;A;C", "A", None),
        ("multiple_choice", "a c;b;x", "a c", None),
        ("multiple_choice", "x;y;z", "a c", Some(&["a", "c"])),
        ("multiple_choice", "x;y;z", "A, c", Some(&["a", "c"])),
        ("multiple_choice", "x;y;z", "a dog", None),
    ] {
        let header = ["choice_a", "choice_b", "choice_c", "choice_d"][..choices.split(';').count()].join("\t");
        let file =
            format!("kind\tprompt\tanswer\t{header}\n{kind}\tWhich?\t{answer}\t{}\n", choices.replace(';', "\t"));
        let found = right(&file);
        assert_eq!(
            found.as_deref(),
            expected.map(|ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>()).as_deref(),
            "{answer} of {choices}"
        );
        if expected.is_none() {
            let problem = &csv(&file).problems[0];
            assert_eq!((problem.pointer.as_str(), problem.line), ("/answer", Some(2)), "{problem:?}");
        }
    }
}

/// Choices whose texts are the letters of others.
#[test]
fn a_written_answer_is_never_ambiguous() {
    let algebra = crate::content::read(include_str!("../../../../content/algebra.json")).unwrap();
    let mut test = TestFile { questions: vec![algebra.questions[0].clone()], ..algebra };
    let question = &mut test.questions[0];
    question.kind = QuestionKind::SingleChoice;
    let choice = |(index, text): (usize, &str)| Choice { id: choice_id(index), text: text.to_owned() };
    question.choices = ["b", "a", "b;", "1"].into_iter().enumerate().map(choice).collect();
    for index in 0..4 {
        test.questions[0].answer = AnswerKey::Choices(ChoicesKey { choice_ids: vec![choice_id(index)] });
        round_trip(&test, find("csv").unwrap()).unwrap();
    }
}

#[test]
fn a_row_that_swallows_others_is_left_out_and_told() {
    let whole = "id,prompt,answer\none,1 + 1?,2\n\ntwo,\"2 + 2?\",4\nthree,3 + 3?,6\nfour,\"4 + 4?\",8\n";
    assert_eq!((csv(whole).questions.len(), csv(whole).problems.len()), (4, 0));
    for (broken, questions, line) in [
        (whole.replace("\"2 + 2?\",4", "\"2 + 2?,4"), 1, "line 4"),
        (whole.replace("\"4 + 4?\",8", "\"4 + 4?,8"), 3, "line 6"),
        (whole.replace("three,3", "three,\"3"), 2, "line 5"),
    ] {
        let reading = csv(&broken);
        assert_eq!((reading.questions.len(), reading.problems.len()), (questions, 1), "{reading:#?}");
        let problem = &reading.problems[0];
        assert_eq!(problem.severity, Severity::Lost);
        assert!(problem.detail.contains(line), "{problem:?}");
    }
    let header = csv("id,\"prompt,answer\none,1 + 1?,2\n");
    assert!(header.problems.iter().any(|problem| problem.detail.contains("on line 1")), "{header:#?}");
}

#[test]
fn cells_without_a_column_and_text_behind_a_mark_are_told() {
    let file = "id,prompt,,answer,\none,\"1 + 1\" ?,,2,\ntwo,2 + 2?,by heart,4,see page 3\n";
    let reading = csv(file);
    assert_eq!(reading.questions[0].prompt, "1 + 1 ?");
    let problems: Vec<_> = reading
        .problems
        .iter()
        .map(|problem| (problem.line, problem.severity, problem.detail.contains("no name")))
        .collect();
    let expected =
        [(Some(2), Severity::Changed, false), (Some(3), Severity::Lost, true), (Some(3), Severity::Lost, true)];
    assert_eq!(problems, expected, "{:#?}", reading.problems);
}

#[test]
fn all_choices_that_a_question_may_have_fit_into_columns() {
    let algebra = crate::content::read(include_str!("../../../../content/algebra.json")).unwrap();
    let mut test = TestFile { questions: vec![algebra.questions[0].clone()], ..algebra };
    let question = &mut test.questions[0];
    let choice = |index| Choice { id: choice_id(index), text: format!("choice {index}") };
    question.choices = (0..MAX_CHOICES).map(choice).collect();
    question.kind = QuestionKind::MultipleChoice;
    question.answer = AnswerKey::Choices(ChoicesKey { choice_ids: [1, 26, MAX_CHOICES - 1].map(choice_id).into() });
    round_trip(&test, find("csv").unwrap()).unwrap();
    let word = csv("prompt,no,answer\nWhy?,because,4\n");
    assert!(word.problems[0].detail.contains("“no” is not known"), "{:#?}", word.problems);
}

#[test]
fn what_no_student_could_answer_is_left_out_and_told() {
    let rows = |count: usize| (0..count).map(|row| format!("{row} + 0?,{row}\n")).collect::<String>();
    let reading = csv(&format!("prompt,answer\n{}", rows(MAX_QUESTIONS + 2)));
    assert_eq!((reading.found, reading.questions.len(), reading.problems.len()), (MAX_QUESTIONS + 2, MAX_QUESTIONS, 2));
    let reading = csv("prompt,answer,tolerance\nHow many?,1e200,0\nHow many?,1,1e200\nHow many?,1e100,0\n");
    assert_eq!((reading.questions.len(), reading.problems.len()), (1, 2), "{:#?}", reading.problems);
}
