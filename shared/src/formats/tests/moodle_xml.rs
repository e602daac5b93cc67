//! What of Moodle XML has no place here, or is not what it should be, and is told.

use super::*;

fn xml(quiz: &str) -> Reading {
    read_as(find("moodle_xml").unwrap(), format!("<quiz>{quiz}</quiz>").as_bytes())
}

/// Where each problem is, what became of it, and what it says.
fn told(reading: &Reading) -> Vec<(&str, Severity, &str)> {
    let problems = reading.problems.iter();
    problems.map(|problem| (problem.pointer.as_str(), problem.severity, problem.detail.as_str())).collect()
}

/// A question with two choices and `more`.
fn question(more: &str) -> String {
    format!(
        "<question type=\"multichoice\"><name><text>one</text></name><questiontext><text>What?</text></questiontext>
         <answer fraction=\"100\"><text>a</text></answer><answer fraction=\"0\"><text>b</text></answer>{more}</question>"
    )
}

#[test]
fn what_is_not_kept_of_a_question_is_told() {
    assert_eq!(told(&xml(&question("<image></image><defaultgrade>2.0</defaultgrade>"))), []);
    for (more, pointer, severity, part) in [
        ("<image>cell.png</image>", "/image", Severity::Lost, "“cell.png” (0 kB)"),
        ("<image_base64>iVBORw0KGgo=</image_base64>", "/image", Severity::Lost, "(1 kB)"),
        ("<defaultgrade>2,5</defaultgrade>", "/points", Severity::Changed, "“2,5”"),
        ("<answer fraction=\"abc\"><text>c</text></answer>", "/answers/2", Severity::Changed, "“abc”"),
        ("See also page 3.", "", Severity::Lost, "“See also page 3.”"),
    ] {
        let reading = xml(&question(more));
        let [(told_at, told_as, said)] = told(&reading)[..] else { panic!("{reading:#?}") };
        assert_eq!((told_at, told_as), (pointer, severity), "{more}");
        assert!(said.contains(part), "{more}: {said}");
        assert_eq!(reading.questions.len(), 1, "{more}");
    }
}

#[test]
fn what_is_not_kept_of_a_passage_is_told() {
    let passage = "<question type=\"description\"><name><text>Text</text></name><defaultgrade>0</defaultgrade>
        <questiontext><text>A cell.</text></questiontext><generalfeedback><text>It lives.</text></generalfeedback>
        <hint><text>Look.</text></hint></question>";
    let reading = xml(passage);
    let pointers: Vec<_> = told(&reading).into_iter().map(|(pointer, severity, _)| (pointer, severity)).collect();
    assert_eq!(pointers, [("/hint", Severity::Lost), ("/passage", Severity::Lost)]);
}

#[test]
fn text_outside_of_all_questions_is_told() {
    let quiz = format!("\nWhat is <!-- no -->2 &lt; 3?\n\n{}<![CDATA[the end]]>\n", question(""));
    let reading = xml(&quiz);
    let lines: Vec<_> = reading.problems.iter().map(|problem| (problem.line, problem.detail.as_str())).collect();
    let expected = [
        (Some(2), "The text “What is 2 < 3?” stands outside of all questions; it is not kept."),
        (Some(5), "The text “the end” stands outside of all questions; it is not kept."),
    ];
    assert_eq!((lines.as_slice(), reading.questions.len()), (&expected[..], 1));
}

#[test]
fn a_file_that_is_only_linked_is_told() {
    let text = "<question type=\"essay\"><questiontext format=\"html\">
        <text>&lt;a href=\"@@PLUGINFILE@@/more.pdf\"&gt;more&lt;/a&gt;</text><file name=\"more.pdf\">AAAA</file></questiontext>
        <graderinfo><text>Model answer: Yes.\nKey points:\nIt says yes. [yes]</text></graderinfo></question>";
    let reading = xml(text);
    assert_eq!(reading.questions.len(), 1, "{reading:#?}");
    assert!(reading.problems.iter().any(|problem| problem.detail.contains("more.pdf")), "{reading:#?}");
}
