use proptest::collection::vec;
use proptest::prelude::*;

use self::generators::{any_kind, kinds_of_gift, soup, test_of};
use super::*;
use crate::practice_tests::{AnswerKey, KeyPoint, QuestionKind, TextKey};

mod csv;
mod generators;
mod moodle_xml;
mod samples;

fn read_as(format: &'static Format, bytes: &[u8]) -> Reading {
    read(bytes, Label { format: Some(format), ..Label::default() })
}

/// Writes `test`, reads it again, and compares what the format can hold.
fn round_trip(test: &TestFile, format: &'static Format) -> Result<Reading, TestCaseError> {
    let written = write(test, format);
    let reading = read_as(format, written.text.as_bytes());
    let lost: Vec<_> = reading.problems.iter().filter(|problem| problem.severity == Severity::Lost).collect();
    prop_assert!(lost.is_empty(), "{lost:?}\n{}", written.text);
    prop_assert_eq!(&reading.questions, &test.questions, "{}", written.text);
    Ok(reading)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_holds_a_whole_test(test in test_of(any_kind())) {
        let reading = round_trip(&test, find("json").unwrap())?;
        prop_assert_eq!(reading.test(Naming::default()).unwrap(), test);
        prop_assert!(reading.problems.is_empty());
    }

    #[test]
    fn moodle_xml_holds_questions_and_passage(test in test_of(any_kind())) {
        let reading = round_trip(&test, find("moodle_xml").unwrap())?;
        prop_assert_eq!(reading.test(Naming { title: Some("x"), ..Naming::default() }).unwrap().passage, test.passage);
    }

    #[test]
    fn csv_holds_questions(test in test_of(any_kind())) {
        round_trip(&test, find("csv").unwrap())?;
    }

    #[test]
    fn gift_holds_all_but_key_points(test in test_of(kinds_of_gift())) {
        let reading = round_trip(&test, find("gift").unwrap())?;
        prop_assert_eq!(reading.test(Naming { title: Some("x"), ..Naming::default() }).unwrap().passage, test.passage);
    }

    #[test]
    fn no_cell_of_an_export_is_a_formula(test in test_of(any_kind())) {
        let written = write(&test, find("csv").unwrap()).text;
        let mut reader = ::csv::Reader::from_reader(written.trim_start_matches('\u{feff}').as_bytes());
        for record in reader.records() {
            for cell in record.unwrap().iter().filter(|cell| cell.parse::<f64>().is_err()) {
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']), "{cell:?}");
            }
        }
    }

    #[test]
    fn nothing_in_a_file_can_panic(bytes in vec(any::<u8>(), 0..400), soup in vec(soup(), 1..30)) {
        let soup = soup.join("\n\n");
        for format in ALL {
            read_as(format, &bytes);
            read_as(format, soup.as_bytes());
            read_as(format, format!("<quiz><question type=\"multichoice\">{soup}").as_bytes());
        }
        let _ = read(&bytes, Label::default());
    }

    #[test]
    fn a_broken_file_is_read_or_refused(test in test_of(any_kind()), at in any::<prop::sample::Index>(), with in soup()) {
        for format in ALL {
            let mut bytes = write(&test, format).text.into_bytes();
            let at = at.index(bytes.len());
            bytes.splice(at..at + 1, with.bytes());
            let reading = read_as(format, &bytes);
            prop_assert!(reading.questions.len() <= reading.found);
            if reading.found > reading.questions.len() {
                prop_assert!(reading.count(Severity::Lost) > 0, "a question went in silence");
            }
            bytes.truncate(at);
            read_as(format, &bytes);
        }
    }
}

#[test]
fn json_holds_what_no_editor_shows() {
    let mut test = crate::content::read(include_str!("../../../content/biology.json")).unwrap();
    " \u{feff}Cells\u{7f}\u{85} ".clone_into(&mut test.title);
    "\u{1}What\u{feff} is a cell?\u{ffff}\r\n".clone_into(&mut test.questions[0].prompt);
    let reading = round_trip(&test, find("json").unwrap()).unwrap();
    assert_eq!((reading.test(Naming::default()).unwrap(), reading.problems.len()), (test, 0));
}

#[test]
fn a_text_that_is_trimmed_is_told() {
    let biology = crate::content::read(include_str!("../../../content/biology.json")).unwrap();
    let key = TextKey {
        model_answer: "Because.".to_owned(),
        key_points: vec![KeyPoint {
            id: "k1".into(),
            text: "It says why.".into(),
            terms: vec![vec!["because".into()]],
        }],
    };
    let with = |part: fn(&mut TextKey) -> &mut String| {
        let mut key = key.clone();
        part(&mut key).push(' ');
        key
    };
    let keys = [
        key.clone(),
        with(|key| &mut key.model_answer),
        with(|key| &mut key.key_points[0].text),
        with(|key| &mut key.key_points[0].terms[0][0]),
    ];
    for format in ["csv", "moodle_xml"].map(|name| find(name).unwrap()) {
        let trimmed = |key: &TextKey| {
            let mut test = TestFile { questions: vec![biology.questions[0].clone()], passage: None, ..biology.clone() };
            (test.questions[0].kind, test.questions[0].choices) = (QuestionKind::FreeText, Vec::new());
            test.questions[0].answer = AnswerKey::Text(key.clone());
            write(&test, format).count(Severity::Changed)
        };
        assert_eq!(keys.each_ref().map(trimmed), [0, 1, 1, 1], "{}", format.name);
    }
    let test = TestFile { passage: Some(" A cell.".to_owned()), ..biology };
    let written = write(&test, find("gift").unwrap());
    assert!(written.problems.iter().any(|problem| problem.pointer == "/passage"), "{:?}", written.problems);
}

#[test]
fn formats_are_told_apart() {
    let cases = [
        (Label { filename: Some("a.b/Quiz.GIFT"), ..Label::default() }, "x", "gift"),
        (Label { filename: Some("quiz.txt"), ..Label::default() }, "<quiz/>", "gift"),
        (Label { filename: Some("quiz"), media_type: Some("text/xml"), ..Label::default() }, "x", "moodle_xml"),
        (Label { media_type: Some("text/plain"), ..Label::default() }, "\u{feff}<?xml ?>", "moodle_xml"),
        (Label::default(), "\u{feff}<?xml ?>", "moodle_xml"),
        (Label::default(), "{ \"slug\": 1 }", "json"),
        (Label::default(), "{=Two =2} plus two is four.", "gift"),
        (Label::default(), "id;prompt;answer", "csv"),
        (Label { format: find("csv"), filename: Some("x.json"), ..Label::default() }, "{}", "csv"),
    ];
    for (label, text, expected) in cases {
        assert_eq!(read(text.as_bytes(), label).format, expected, "{label:?} {text}");
    }
    let unknown = read(b"Dear colleague", Label::default());
    assert_eq!((unknown.format, unknown.problems.len()), ("", 1));
}

#[test]
fn names_in_the_table_are_a_contract() {
    let rows: Vec<_> = ALL.iter().map(|format| (format.name, format.extensions[0], format.media_types[0])).collect();
    let expected = [
        ("json", "json", "application/json"),
        ("moodle_xml", "xml", "application/xml"),
        ("csv", "csv", "text/csv"),
        ("gift", "gift", "text/plain"),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn what_has_no_latin_letters_gets_a_name_that_lasts() {
    let file = "Сколько будет два плюс два? {#4}\n\nСколько будет три плюс три? {#6}";
    let test =
        read(file.as_bytes(), Label::default()).test(Naming { title: Some("Вопросы"), ..Naming::default() }).unwrap();
    let swapped = "Сколько будет три плюс три? {#6}\n\nСколько будет два плюс два? {#4}";
    let again = read(swapped.as_bytes(), Label::default());
    assert!(test.slug.starts_with("test-") && test.questions[0].slug.starts_with("q-"), "{test:?}");
    assert_eq!(test.questions[0].slug, again.questions[1].slug);
    assert_ne!(test.questions[0].slug, test.questions[1].slug);
}

#[test]
fn a_file_says_itself_what_it_lacks() {
    let biology = crate::content::read(include_str!("../../../content/biology.json")).unwrap();
    for (format, comment) in [("gift", "// Lost: "), ("moodle_xml", "<!-- Lost: ")] {
        let written = write(&biology, find(format).unwrap());
        let said = written.text.lines().filter(|line| line.starts_with(comment)).count();
        assert_eq!(said, written.count(Severity::Lost), "{format}");
        assert!(said > 0, "{format}");
    }
}

#[test]
fn hostile_xml_is_refused_without_expanding_or_fetching_anything() {
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE quiz [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><quiz><question type="essay">
        <name><text>&b;</text></name></question></quiz>"#;
    let outside = r#"<!DOCTYPE quiz [<!ENTITY x SYSTEM "file:///etc/passwd">]><quiz>&x;</quiz>"#;
    let deep = "<quiz>".to_owned() + &"<a>".repeat(200_000);
    let wide = "<quiz><question type=\"x\">".to_owned() + &"<a/>".repeat(200_000) + "</question></quiz>";
    let cases = [
        (laughs, "document type"),
        (outside, "document type"),
        (&deep, "deeper than"),
        (&wide, "more than 20000 elements"),
        ("<quiz><question>&nbsp;</question></quiz>", "entity &nbsp;"),
        ("<quiz><question></quiz>", "not well-formed"),
        ("<html></html>", "<html>"),
        ("<quiz><question type=\"essay\">", "ends before"),
        ("", "ends before"),
    ];
    for (file, why) in cases {
        let reading = read_as(find("moodle_xml").unwrap(), file.as_bytes());
        assert_eq!((reading.questions.len(), reading.problems.len()), (0, 1), "{why}");
        assert!(reading.problems[0].detail.contains(why), "{why}: {:?}", reading.problems[0]);
    }
}

/// What this thread has taken of a processor: others who want it too change nothing.
fn processor_seconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: u64 = statistics.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1_000_000_000
}

/// Enough that reading something over and over would take minutes.
const LARGE: usize = 1 << 20;

/// Each would take minutes if something in it were read over and over.
#[test]
fn a_large_file_is_read_in_one_pass() {
    let large = |piece: &str| piece.repeat(LARGE / piece.len());
    let html = |text: &str| {
        format!(
            "<quiz><question type=\"multichoice\"><questiontext format=\"html\"><text><![CDATA[{text}]]></text></questiontext></question></quiz>"
        )
    };
    let files: String = (0..19_000).map(|number| format!("<file name=\"{}{number}\"/>", "a".repeat(32))).collect();
    let text = format!("<text>{}</text>{files}", large("a").repeat(3));
    let files = format!("<quiz><question type=\"essay\"><questiontext>{text}</questiontext></question></quiz>");
    let started = processor_seconds();
    for (format, file) in [
        ("moodle_xml", files),
        ("gift", large("{")),
        ("gift", large("x\n\n")),
        ("gift", format!("{{{}}}", large("=a->b"))[..LARGE - 8].to_owned()),
        ("gift", large("::a::b{=c ~%5%d#e}\n\n")),
        ("csv", large(",")),
        ("csv", "prompt\n".to_owned() + &large("a\n")[..LARGE - 16]),
        ("csv", large("\"")),
        ("moodle_xml", html(&large("<zz ")[..LARGE - 200])),
        ("moodle_xml", html(&large("<!--&#")[..LARGE - 200])),
        ("moodle_xml", large("<quiz>\n")),
        ("json", large("[")),
        ("json", large("{\"a\":")),
    ] {
        read_as(find(format).unwrap(), file.as_bytes());
        let seconds = processor_seconds() - started;
        assert!(seconds < 60, "{format} {:?} after {seconds} s", &file[..20]);
    }
}
