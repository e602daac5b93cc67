//! Writes a test as Moodle XML. All texts are `plain_text`, since that is what they are.

use std::fmt::Write as _;

use quick_xml::escape::partial_escape;

use crate::content::{QuestionEntry, TestFile};
use crate::formats::notes::Notes;
use crate::formats::outgoing::{self, Passage, clean};
use crate::formats::rubric;
use crate::practice_tests::{AnswerKey, NumberKey, QuestionKind, TextKey};

/// Writes `test`.
pub(super) fn write(test: &TestFile, notes: &mut Notes) -> String {
    outgoing::note_head(test, Passage::Held, notes);
    let mut file = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<quiz>\n".to_owned();
    if let Some(passage) = &test.passage {
        let text = formatted("questiontext", "plain_text", passage);
        let _ = write!(file, "<question type=\"description\">\n{}{text}</question>\n", element("name", &test.title));
    }
    let mut topic = "";
    for question in &test.questions {
        if question.topic != topic {
            topic = &question.topic;
            let path = element("category", &format!("$course$/top/{topic}"));
            let _ = write!(file, "<question type=\"category\">\n{path}</question>\n");
        }
        outgoing::note_oddities(question, notes);
        file.push_str(&written(question));
    }
    for loss in notes.losses() {
        let _ = writeln!(file, "<!-- Lost: {} -->", loss.replace("--", "- -"));
    }
    file + "</quiz>\n"
}

fn written(question: &QuestionEntry) -> String {
    let (kind, answers) = answers(question);
    let mut text = format!("<question type=\"{kind}\">\n");
    text += &element("name", &question.slug);
    text += &formatted("questiontext", "plain_text", &question.prompt);
    text += &formatted("generalfeedback", "plain_text", &question.explanation);
    let _ = writeln!(text, "  <defaultgrade>{}</defaultgrade>\n  <penalty>0</penalty>", question.points);
    let _ = writeln!(text, "  <hidden>0</hidden>\n  <idnumber>{}</idnumber>", question.slug);
    text += &answers;
    let _ = writeln!(text, "  <tags><tag><text>difficulty:{}</text></tag></tags>\n</question>", question.difficulty);
    text
}

/// The question's type, and what it has beside other types.
fn answers(question: &QuestionEntry) -> (&'static str, String) {
    match &question.answer {
        AnswerKey::Number(key) => ("numerical", number(*key)),
        AnswerKey::Text(key) => text_key(key),
        AnswerKey::Choices(_) => match outgoing::statement(question) {
            Some(is_true) => ("truefalse", statement(is_true)),
            None => ("multichoice", choices(question)),
        },
    }
}

fn number(key: NumberKey) -> String {
    let tolerance = format!("<tolerance>{}</tolerance>", key.tolerance);
    format!("  <answer fraction=\"100\">\n    <text>{}</text>\n    {tolerance}\n  </answer>\n", key.number)
}

fn text_key(key: &TextKey) -> (&'static str, String) {
    match outgoing::alternatives(key) {
        Some(terms) => {
            let answers = terms.iter().map(|term| answer("100", "moodle_auto_format", term));
            ("shortanswer", std::iter::once("  <usecase>0</usecase>\n".to_owned()).chain(answers).collect())
        }
        None => {
            let settings = "  <responseformat>plain</responseformat>\n  <responserequired>1</responserequired>\n";
            ("essay", settings.to_owned() + &formatted("graderinfo", "plain_text", &rubric::write_key(key)))
        }
    }
}

fn statement(is_true: bool) -> String {
    let fraction = |right| if right { "100" } else { "0" };
    answer(fraction(is_true), "moodle_auto_format", "true") + &answer(fraction(!is_true), "moodle_auto_format", "false")
}

fn choices(question: &QuestionEntry) -> String {
    let right = outgoing::marked(question).filter(|(_, right)| *right).count();
    let (single, share, penalty) = match question.kind {
        QuestionKind::MultipleChoice => ("false", outgoing::share(right), format!("-{}", outgoing::share(right))),
        _ => ("true", "100".to_owned(), "0".to_owned()),
    };
    let settings = format!(
        "  <single>{single}</single>\n  <shuffleanswers>false</shuffleanswers>\n  <answernumbering>abc</answernumbering>\n"
    );
    let fraction = |right: bool| if right { share.as_str() } else { penalty.as_str() };
    let answers = outgoing::marked(question).map(|(choice, right)| answer(fraction(right), "plain_text", &choice.text));
    std::iter::once(settings).chain(answers).collect()
}

fn answer(fraction: &str, format: &str, text: &str) -> String {
    let text = partial_escape(clean(text));
    format!("  <answer fraction=\"{fraction}\" format=\"{format}\">\n    <text>{text}</text>\n  </answer>\n")
}

fn element(name: &str, text: &str) -> String {
    format!("  <{name}>\n    <text>{}</text>\n  </{name}>\n", partial_escape(clean(text)))
}

fn formatted(name: &str, format: &str, text: &str) -> String {
    format!("  <{name} format=\"{format}\">\n    <text>{}</text>\n  </{name}>\n", partial_escape(clean(text)))
}
