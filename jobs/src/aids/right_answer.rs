//! Answers in words.

use bellwork_shared::answers::Response;
use bellwork_shared::practice_tests::{AnswerKey, Choice};

/// What a right answer says.
pub(crate) fn right_answer(key: &AnswerKey, choices: &[Choice]) -> String {
    match key {
        AnswerKey::Choices(key) => chosen(&key.choice_ids, choices),
        AnswerKey::Number(key) => key.number.to_string(),
        AnswerKey::Text(key) => key.model_answer.clone(),
    }
}

/// What a student answered other than by words of their own.
pub(crate) fn given_answer(response: &Response, choices: &[Choice]) -> Option<String> {
    match response {
        Response::ChoiceIds(ids) => Some(chosen(ids, choices)),
        Response::Number(number) => Some(number.to_string()),
        Response::Text(_) => None,
    }
}

/// In the order of the choices.
fn chosen(ids: &[String], choices: &[Choice]) -> String {
    let texts = choices.iter().filter(|choice| ids.contains(&choice.id)).map(|choice| choice.text.as_str());
    texts.collect::<Vec<_>>().join("; ")
}
