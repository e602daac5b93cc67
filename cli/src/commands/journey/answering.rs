//! A plausible student: knows some things, guesses the rest, and has never seen a key.

use bellwork_shared::answers::{Answer, Response};
use bellwork_shared::practice_tests::{Choice, QuestionKind};
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};

use super::api::{NewStudent, Question};
use super::memory::{self, recall};

const FIRST_NAMES: &[&str] = &["Ada", "Amara", "Chen", "Elif", "Jonas", "Lucía", "Mira", "Noor", "Tomás", "Yuki"];
const LAST_NAMES: &[&str] =
    &["Abara", "Berg", "Costa", "Demir", "Haddad", "Keller", "Moreau", "Novák", "Sato", "Okafor"];
/// A name that never resolves (RFC 2606), so that no mail can leave the house.
const DOMAIN: &str = "students.bellwork.example";

/// Guessed when a question names no numbers.
const LIKELY_NUMBERS: &[f64] = &[2.0, 3.0, 4.0, 6.0, 7.0, 10.0];

/// Somebody new.
pub(super) fn new_student() -> NewStudent {
    let mut random = rand::rng();
    let first = FIRST_NAMES.choose(&mut random).expect("there are names");
    let last = LAST_NAMES.choose(&mut random).expect("there are names");
    let (local, password): (u32, u128) = (random.random(), random.random());
    let local = format!("{}.{local:08x}", first.chars().filter(char::is_ascii_alphabetic).collect::<String>());
    NewStudent {
        email: format!("{local}@{DOMAIN}").to_ascii_lowercase(),
        password: format!("{password:032x}"),
        display_name: format!("{first} {last}"),
    }
}

/// An answer to each question.
pub(super) fn answer_all(questions: &[Question]) -> Vec<Answer> {
    questions.iter().map(|question| Answer { question_id: question.id, response: answer(question) }).collect()
}

fn answer(question: &Question) -> Response {
    match question.kind {
        QuestionKind::SingleChoice => {
            Response::ChoiceIds(remembered(question).unwrap_or_else(|| some(&question.choices, 1)))
        }
        QuestionKind::MultipleChoice => {
            let most = question.choices.len().saturating_sub(1).max(1);
            let guess = || some(&question.choices, rand::rng().random_range(1..=most));
            Response::ChoiceIds(remembered(question).unwrap_or_else(guess))
        }
        QuestionKind::Numeric => {
            Response::Number(recall(memory::NUMBERS, &question.prompt).unwrap_or_else(|| estimate(&question.prompt)))
        }
        QuestionKind::FreeText => {
            let sentence = recall(memory::SENTENCES, &question.prompt).map(str::to_owned);
            Response::Text(sentence.unwrap_or_else(|| echo(&question.prompt)))
        }
    }
}

/// The choices that come to mind.
fn remembered(question: &Question) -> Option<Vec<String>> {
    let words = recall(memory::CHOICES, &question.prompt)?;
    let known = question.choices.iter().filter(|choice| words.iter().any(|word| choice.text.contains(word)));
    let ids: Vec<_> = known.map(|choice| choice.id.clone()).collect();
    (!ids.is_empty()).then_some(ids)
}

/// `count` of the choices, in their order.
fn some(choices: &[Choice], count: usize) -> Vec<String> {
    let mut taken: Vec<usize> = (0..choices.len()).collect();
    taken.shuffle(&mut rand::rng());
    taken.truncate(count);
    taken.sort_unstable();
    taken.into_iter().map(|index| choices[index].id.clone()).collect()
}

/// Two of the prompt's numbers, put together somehow.
fn estimate(prompt: &str) -> f64 {
    let mut random = rand::rng();
    let numbers = numbers(prompt);
    let likely = |random: &mut _| *LIKELY_NUMBERS.choose(random).expect("there are numbers");
    let a = numbers.choose(&mut random).copied().unwrap_or_else(|| likely(&mut random));
    let b = numbers.choose(&mut random).copied().unwrap_or_else(|| likely(&mut random));
    let guesses = [a, a - b, b - a, a + b, a * b, a / b, 50.0 - a];
    let guess = guesses.choose(&mut random).copied().filter(|guess| guess.is_finite());
    guess.unwrap_or(a)
}

/// The numbers in a text: `−2`, `0.5` and `50,000` are one each.
fn numbers(text: &str) -> Vec<f64> {
    let plain = text.replace('−', "-").replace(',', "");
    let words = plain.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'));
    words
        .filter_map(|word| word.trim_end_matches(['.', '-']).parse().ok())
        .filter(|number: &f64| number.is_finite())
        .collect()
}

/// The question's own words, as students do.
fn echo(prompt: &str) -> String {
    let topic = prompt.split(['.', '?', '!']).next().unwrap_or_default().trim();
    format!(
        "This is about the following: {topic}. I think that one thing leads to the other because both are connected."
    )
}

#[cfg(test)]
mod tests {
    use bellwork_shared::content::{self, QuestionEntry};
    use bellwork_shared::ids::QuestionId;
    use bellwork_shared::practice_tests::AnswerKey;
    use bellwork_shared::users::{DisplayName, Email, NewPassword};

    use super::*;

    const SEEDS: [&str; 3] = [
        include_str!("../../../../content/algebra.json"),
        include_str!("../../../../content/biology.json"),
        include_str!("../../../../content/reading.json"),
    ];

    /// The questions of a seed test as the API shows them, each with its key.
    fn sheet(json: &str) -> Vec<(Question, AnswerKey)> {
        let entries = content::read(json).unwrap().questions.into_iter();
        let question = |entry: QuestionEntry| {
            let QuestionEntry { kind, prompt, choices, points, answer, .. } = entry;
            (Question { id: QuestionId::new(), kind, prompt, choices, points }, answer)
        };
        entries.map(question).collect()
    }

    #[test]
    fn every_seed_question_gets_an_answer_that_fits() {
        for (question, _) in SEEDS.into_iter().flat_map(sheet) {
            let fits = match (question.kind, answer(&question)) {
                (QuestionKind::SingleChoice, Response::ChoiceIds(ids)) => ids.len() == 1,
                (QuestionKind::MultipleChoice, Response::ChoiceIds(ids)) => {
                    (1..question.choices.len()).contains(&ids.len())
                }
                (QuestionKind::Numeric, Response::Number(number)) => number.is_finite(),
                (QuestionKind::FreeText, Response::Text(text)) => !text.starts_with("This is about"),
                _ => false,
            };
            assert!(fits, "{}", question.prompt);
        }
    }

    #[test]
    fn some_answers_are_right_and_some_are_wrong() {
        for json in SEEDS {
            let right = sheet(json).into_iter().filter(|(question, key)| match (answer(question), key) {
                (Response::ChoiceIds(ids), AnswerKey::Choices(key)) => ids == key.choice_ids,
                (Response::Number(number), AnswerKey::Number(key)) => (number - key.number).abs() <= key.tolerance,
                _ => false,
            });
            let right = right.count();
            assert!((4..=16).contains(&right), "{right} right");
        }
    }

    #[test]
    fn numbers_are_found_in_prose() {
        assert_eq!(numbers("From −2 to 50,000.5 kJ in 3. Then x - 1."), [-2.0, 50_000.5, 3.0, 1.0]);
        assert!(estimate("How many?").is_finite());
        assert!(estimate("0 of 0?").is_finite());
    }

    #[test]
    fn a_new_student_can_register() {
        let student = new_student();
        assert!(Email::parse(&student.email).is_ok(), "{}", student.email);
        assert!(NewPassword::parse(&student.password).is_ok());
        assert!(DisplayName::parse(&student.display_name).is_ok());
    }
}
