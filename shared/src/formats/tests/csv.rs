//! What becomes of cells that can be read in more ways than one, and of those that are broken.

use super::*;

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
