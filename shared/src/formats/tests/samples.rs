//! What becomes of the files in `samples/`, each of which uses all that its format has. Beside each file stands what was read
//! of it; `UPDATE_SAMPLES=1` writes that anew, to be looked at.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::content::QuestionEntry;
use crate::formats::{Label, Reading, Severity, read};
use crate::practice_tests::AnswerKey;

fn told(question: &QuestionEntry) -> String {
    let QuestionEntry { slug, kind, topic, difficulty, points, prompt, explanation, .. } = question;
    let mut told = format!("{slug}: {kind:?}, {topic}, difficulty {difficulty}, {points} points\n  ? {prompt:?}\n");
    match &question.answer {
        AnswerKey::Number(key) => told += &format!("  = {} ± {}\n", key.number, key.tolerance),
        AnswerKey::Text(key) => {
            let _ = writeln!(told, "  = {:?}", key.model_answer);
            key.key_points
                .iter()
                .for_each(|point| told += &format!("  {}: {:?} {:?}\n", point.id, point.text, point.terms));
        }
        AnswerKey::Choices(key) => {
            for choice in &question.choices {
                let mark = if key.choice_ids.contains(&choice.id) { '=' } else { '~' };
                let _ = writeln!(told, "  {mark} {} {:?}", choice.id, choice.text);
            }
        }
    }
    if !explanation.is_empty() {
        let _ = writeln!(told, "  # {explanation:?}");
    }
    told
}

fn all_told(reading: &Reading) -> String {
    let mut told = format!("{:#?}\n{} of {} questions\n\n", reading.head, reading.questions.len(), reading.found);
    reading.questions.iter().for_each(|question| told += &self::told(question));
    told.push('\n');
    for problem in &reading.problems {
        let (line, severity) =
            (problem.line.map_or_else(|| "-".to_owned(), |line| line.to_string()), problem.severity.name());
        let _ = writeln!(told, "{line} {severity} [{}] {} {}", problem.question, problem.pointer, problem.detail);
    }
    told
}

/// Reads a sample and compares it with what stands beside it.
fn sample(name: &str) -> Reading {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/formats/samples"));
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let reading = read(&bytes, Label { filename: Some(name), ..Label::default() });
    let beside = folder.join(format!("{name}.reading"));
    if std::env::var_os("UPDATE_SAMPLES").is_some() {
        std::fs::write(&beside, all_told(&reading)).unwrap();
    }
    let expected = std::fs::read_to_string(beside).unwrap();
    for (line, (found, expected)) in (1..).zip(all_told(&reading).lines().zip(expected.lines())) {
        assert_eq!(found, expected, "{name}.reading, line {line}");
    }
    assert_eq!(all_told(&reading).lines().count(), expected.lines().count(), "{name}");
    assert!(reading.count(Severity::Lost) > 0, "{name} uses what can go wrong");
    reading
}

#[test]
fn gift() {
    let reading = sample("biology.gift");
    let windows = include_str!("../samples/biology.gift").replace('\n', "\r\n");
    let bytes = [b"\xef\xbb\xbf", windows.as_bytes()].concat();
    let again = read(&bytes, Label { filename: Some("x.gift"), ..Label::default() });
    assert_eq!(all_told(&again), all_told(&reading), "a byte order mark and CRLF make no difference");
}

#[test]
fn moodle_xml() {
    sample("physics.xml");
}

#[test]
fn csv() {
    sample("history.csv");
}

#[test]
fn json() {
    let reading = sample("algebra.json");
    assert!(reading.questions.len() < reading.found);
}
