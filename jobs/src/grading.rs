//! Exact grading: choices and numbers are compared with the key, never read by a model.

use std::fmt::Write as _;

use bellwork_shared::answers::Response;
use bellwork_shared::attempts::{Feedback, GradedBy};
use bellwork_shared::points::Points;
use bellwork_shared::practice_tests::{AnswerKey, ChoicesKey, NumberKey, Question, TextKey};

use crate::marker::Marked;

/// Two numbers that differ by less than this share of the larger are the same: 0.1 + 0.2 is 0.3.
const EPSILON: f64 = 1e-9;

/// What is to be done with an answer.
#[derive(Debug, PartialEq)]
pub enum Grade<'a> {
    /// Nothing: here is what it earns.
    Exact(Feedback),
    /// A marker must read it.
    ToBeMarked {
        /// What a right text says.
        key: &'a TextKey,
        /// What the student wrote.
        answer: &'a str,
    },
    /// The answer and the question's key are of different kinds: the content is broken.
    Mismatch,
}

/// Grades `response` as far as that is possible without a marker. No response, or an empty one, earns nothing.
#[must_use]
pub fn grade<'a>(question: &'a Question, response: Option<&'a Response>) -> Grade<'a> {
    let response = response.filter(|response| !is_empty(response));
    let exact = |(share, comment)| Grade::Exact(feedback(question, share, comment, GradedBy::Exact));
    match (&*question.answer_key, response) {
        (AnswerKey::Text(_), None) => Grade::Exact(feedback(question, 0.0, left_out(question), GradedBy::Rubric)),
        (_, None) => exact((0.0, left_out(question))),
        (AnswerKey::Choices(key), Some(Response::ChoiceIds(taken))) => exact(choices(question, key, taken)),
        (AnswerKey::Number(key), Some(Response::Number(number))) => exact(numeric(question, *key, *number)),
        (AnswerKey::Text(key), Some(Response::Text(answer))) => Grade::ToBeMarked { key, answer },
        _ => Grade::Mismatch,
    }
}

/// What a marked answer earns.
#[must_use]
pub fn marked(question: &Question, marked: &Marked) -> Feedback {
    feedback(question, marked.share, explained(&marked.comment, question), marked.graded_by)
}

fn feedback(question: &Question, share: f64, comment: String, graded_by: GradedBy) -> Feedback {
    let points = question.points.share(share);
    Feedback { question_id: question.id, correct: points == question.points, points, comment, graded_by }
}

fn is_empty(response: &Response) -> bool {
    match response {
        Response::ChoiceIds(ids) => ids.is_empty(),
        Response::Number(_) => false,
        Response::Text(text) => text.trim().is_empty(),
    }
}

/// One choice: all or nothing. Several: each wrong one takes the credit of a right one away.
fn choices(question: &Question, key: &ChoicesKey, taken: &[String]) -> (f64, String) {
    let right = taken.iter().filter(|id| key.choice_ids.contains(id)).count();
    let (wrong, all) = (taken.len() - right, key.choice_ids.len());
    let share = count(right.saturating_sub(wrong)) / count(all.max(1));
    let verdict = match (right, wrong) {
        (right, 0) if right == all => "Right!".to_owned(),
        _ if all == 1 && taken.len() == 1 => format!("Not quite. {}", right_choices(question, key)),
        (right, wrong) => {
            let mut verdict = format!("You found {right} of {all}");
            if wrong > 0 {
                let _ = write!(verdict, " and took {wrong} that {} wrong", if wrong == 1 { "is" } else { "are" });
            }
            format!("{verdict}. {}", right_choices(question, key))
        }
    };
    (share, explained(&verdict, question))
}

fn numeric(question: &Question, key: NumberKey, number: f64) -> (f64, String) {
    let slack = EPSILON * key.number.abs().max(number.abs()).max(1.0);
    if (number - key.number).abs() <= key.tolerance + slack {
        return (1.0, explained("Right!", question));
    }
    (0.0, explained(&format!("Not quite. The answer is {}.", key.number), question))
}

fn left_out(question: &Question) -> String {
    let answer = match &*question.answer_key {
        AnswerKey::Choices(key) => right_choices(question, key),
        AnswerKey::Number(key) => format!("The answer is {}.", key.number),
        AnswerKey::Text(_) => "Here is what a good answer says.".to_owned(),
    };
    explained(&format!("You left this one out. {answer}"), question)
}

fn right_choices(question: &Question, key: &ChoicesKey) -> String {
    let right = question.choices.iter().filter(|choice| key.choice_ids.contains(&choice.id));
    let texts: Vec<_> = right.map(|choice| format!("“{}”", choice.text)).collect();
    let label = if texts.len() == 1 { "The right choice is" } else { "The right choices are" };
    format!("{label} {}.", texts.join(", "))
}

fn explained(verdict: &str, question: &Question) -> String {
    format!("{verdict} {}", question.explanation).trim_end().to_owned()
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// What all of `feedback` earned, but no more than `most`.
#[must_use]
pub fn score(feedback: &[Feedback], most: Points) -> Points {
    feedback.iter().map(|feedback| feedback.points).sum::<Points>().min(most)
}

#[cfg(test)]
mod tests {
    use bellwork_shared::ids::QuestionId;
    use bellwork_shared::practice_tests::{Choice, QuestionKind};
    use sqlx::types::Json;

    use super::*;

    fn question(kind: QuestionKind, answer_key: AnswerKey, points: i32) -> Question {
        let choice = |id: &str| Choice { id: id.to_owned(), text: format!("Choice {id}") };
        Question {
            id: QuestionId::new(),
            kind,
            prompt: "?".to_owned(),
            choices: Json(["a", "b", "c", "d"].map(choice).to_vec()),
            answer_key: Json(answer_key),
            explanation: "Because.".to_owned(),
            points: Points(points),
        }
    }

    fn of_choices(right: &[&str], points: i32) -> Question {
        let choice_ids = right.iter().map(|id| (*id).to_owned()).collect();
        question(QuestionKind::MultipleChoice, AnswerKey::Choices(ChoicesKey { choice_ids }), points)
    }

    fn of_number(number: f64, tolerance: f64) -> Question {
        question(QuestionKind::Numeric, AnswerKey::Number(NumberKey { number, tolerance }), 200)
    }

    fn of_text() -> Question {
        let key = TextKey { model_answer: "It is.".to_owned(), key_points: Vec::new() };
        question(QuestionKind::FreeText, AnswerKey::Text(key), 300)
    }

    fn exact(question: &Question, response: Option<&Response>) -> Feedback {
        match grade(question, response) {
            Grade::Exact(feedback) => feedback,
            other => panic!("not exact: {other:?}"),
        }
    }

    fn taken(ids: &str) -> Response {
        Response::ChoiceIds(ids.chars().map(String::from).collect())
    }

    #[test]
    fn a_wrong_choice_takes_the_credit_of_a_right_one_away() {
        let (one, two, three) =
            (of_choices(&["c"], 100), of_choices(&["a", "b"], 200), of_choices(&["a", "b", "c"], 200));
        for (question, ids, points, comment) in [
            (&one, "c", 100, "Right! Because."),
            (&one, "a", 0, "Not quite. The right choice is “Choice c”. Because."),
            (&two, "ab", 200, "Right! Because."),
            (&two, "ba", 200, "Right! Because."),
            (&two, "a", 100, "You found 1 of 2. The right choices are “Choice a”, “Choice b”. Because."),
            (
                &two,
                "abc",
                100,
                "You found 2 of 2 and took 1 that is wrong. The right choices are “Choice a”, “Choice b”. Because.",
            ),
            (
                &two,
                "abcd",
                0,
                "You found 2 of 2 and took 2 that are wrong. The right choices are “Choice a”, “Choice b”. Because.",
            ),
            (
                &two,
                "cd",
                0,
                "You found 0 of 2 and took 2 that are wrong. The right choices are “Choice a”, “Choice b”. Because.",
            ),
            (&three, "ab", 133, "You found 2 of 3. The right choices are “Choice a”, “Choice b”, “Choice c”. Because."),
            (&one, "", 0, "You left this one out. The right choice is “Choice c”. Because."),
        ] {
            let feedback = exact(question, Some(&taken(ids)));
            assert_eq!((feedback.points, feedback.comment.as_str()), (Points(points), comment), "{ids:?}");
            assert_eq!(feedback.correct, feedback.points == question.points, "{ids:?}");
            assert_eq!(feedback.graded_by, GradedBy::Exact);
        }
    }

    #[test]
    fn a_number_is_right_within_its_tolerance_and_on_its_edge() {
        for (number, tolerance, answer, right) in [
            (4.0, 0.0, 4.0, true),
            (0.3, 0.0, 0.1 + 0.2, true),
            (0.3, 0.0, 0.300_001, false),
            (150.0, 0.5, 150.5, true),
            (150.0, 0.5, 149.5, true),
            (150.0, 0.5, 150.51, false),
            (1.1, 0.1, 1.2, true),
            (1.1, 0.1, 1.0, true),
            (-56.0, 0.0, 56.0, false),
            (0.0, 0.0, -0.0, true),
            (1e300, 0.0, -1e300, false),
            (f64::MAX, 0.0, f64::MIN, false),
        ] {
            let feedback = exact(&of_number(number, tolerance), Some(&Response::Number(answer)));
            assert_eq!(feedback.correct, right, "{answer} for {number} ± {tolerance}");
            assert_eq!(feedback.points, if right { Points(200) } else { Points::ZERO });
        }
        let wrong = exact(&of_number(2.5, 0.0), Some(&Response::Number(3.0)));
        assert_eq!(wrong.comment, "Not quite. The answer is 2.5. Because.");
    }

    #[test]
    fn what_is_left_out_earns_nothing_and_needs_no_marker() {
        for (question, response, comment) in [
            (of_number(4.0, 0.0), None, "You left this one out. The answer is 4. Because."),
            (of_text(), None, "You left this one out. Here is what a good answer says. Because."),
            (
                of_text(),
                Some(Response::Text(" \n".into())),
                "You left this one out. Here is what a good answer says. Because.",
            ),
        ] {
            let feedback = exact(&question, response.as_ref());
            assert_eq!((feedback.points, feedback.correct), (Points::ZERO, false));
            assert_eq!(feedback.comment, comment);
        }
    }

    #[test]
    fn words_go_to_a_marker_and_an_answer_of_another_kind_is_a_mismatch() {
        let (text, number) = (of_text(), of_number(1.0, 0.0));
        let words = Response::Text("Some words".to_owned());
        assert!(matches!(grade(&text, Some(&words)), Grade::ToBeMarked { answer: "Some words", .. }));
        assert_eq!(grade(&number, Some(&words)), Grade::Mismatch);
        assert_eq!(grade(&text, Some(&Response::Number(1.0))), Grade::Mismatch);
    }

    #[test]
    fn a_score_never_exceeds_what_the_attempt_was_worth() {
        let right = exact(&of_number(1.0, 0.0), Some(&Response::Number(1.0)));
        assert_eq!(score(&[right.clone(), right.clone()], Points(1000)), Points(400));
        assert_eq!(score(&[right.clone(), right], Points(300)), Points(300));
    }
}
