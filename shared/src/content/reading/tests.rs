use serde_json::json;

use super::*;

fn example() -> Value {
    json!({
        "slug": "sums", "title": "Sums", "subject": "mathematics", "description": "Two questions.",
        "questions": [
            {"slug": "one", "kind": "single_choice", "topic": "sums", "difficulty": 1, "prompt": "1 + 1?", "points": 2,
             "choices": [{"id": "a", "text": "2"}, {"id": "b", "text": "3"}], "answer": {"choice_ids": ["a"]},
             "explanation": "One and one."},
            {"slug": "two", "kind": "free_text", "topic": "sums", "difficulty": 3, "prompt": "Why?", "points": 4,
             "answer": {"model_answer": "Because.", "key_points": [
                 {"id": "k1", "text": "It says because.", "terms": [["because", "since"]]}]},
             "explanation": "There is a reason."}
        ]
    })
}

/// The pointers of what is wrong after `value` was put at `pointer`.
fn wrong_after(pointer: &str, value: Value) -> Vec<String> {
    let mut test = example();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match test.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        object => object[name] = value,
    }
    let findings = read(&test.to_string()).expect_err(pointer);
    findings.into_iter().map(|finding| finding.pointer).collect()
}

#[test]
fn what_can_be_wrong_is_found_where_it_is() {
    let cases = [
        ("/slug", json!("Sums!"), "/slug"),
        ("/title", json!("  "), "/title"),
        ("/title", json!(null), "/title"),
        ("/title", json!("a\u{0}b"), "/title"),
        ("/author", json!("me"), "/author"),
        ("/passage", json!(7), "/passage"),
        ("/passage", json!("a".repeat(30_001)), "/passage"),
        ("/time_limit", json!(30), "/time_limit"),
        ("/time_limit", json!({"late": "mark"}), "/time_limit/minutes"),
        ("/time_limit", json!({"minutes": 601}), "/time_limit/minutes"),
        ("/time_limit", json!({"minutes": 30, "late": "never"}), "/time_limit/late"),
        ("/time_limit", json!({"minutes": 30, "seconds": 1}), "/time_limit/seconds"),
        ("/questions", json!([]), "/questions"),
        ("/questions", json!(vec![0; 501]), "/questions"),
        ("/questions/0", json!("one"), "/questions/0"),
        ("/questions/1/slug", json!("one"), "/questions/1/slug"),
        ("/questions/0/kind", json!("essay"), "/questions/0/kind"),
        ("/questions/0/difficulty", json!(4), "/questions/0/difficulty"),
        ("/questions/0/points", json!(1.5), "/questions/0/points"),
        ("/questions/0/points", json!(0), "/questions/0/points"),
        ("/questions/0/points", json!(101), "/questions/0/points"),
        ("/questions/0/choices", json!([{"id": "a", "text": "2"}]), "/questions/0/choices"),
        ("/questions/0/choices/1/id", json!("a"), "/questions/0/choices/1/id"),
        ("/questions/0/choices/1/text", json!("2"), "/questions/0/choices/1/text"),
        ("/questions/0/choices/1/right", json!(true), "/questions/0/choices/1/right"),
        ("/questions/0/answer", json!({"choice_ids": []}), "/questions/0/answer/choice_ids"),
        ("/questions/0/answer", json!({"choice_ids": ["a", "b"]}), "/questions/0/answer/choice_ids"),
        ("/questions/0/answer", json!({"choice_ids": ["c"]}), "/questions/0/answer/choice_ids/0"),
        ("/questions/0/answer", json!({"choice_ids": ["a"], "number": 2}), "/questions/0/answer/number"),
        ("/questions/1/choices", json!([{"id": "a", "text": "2"}]), "/questions/1/choices"),
        ("/questions/1/answer/key_points", json!([]), "/questions/1/answer/key_points"),
        ("/questions/1/answer/key_points/0/terms", json!([]), "/questions/1/answer/key_points/0/terms"),
        ("/questions/1/answer/key_points/0/terms/0", json!([]), "/questions/1/answer/key_points/0/terms/0"),
        ("/questions/1/answer/key_points/0/terms/0/1", json!(""), "/questions/1/answer/key_points/0/terms/0/1"),
    ];
    for (pointer, value, expected) in cases {
        assert_eq!(wrong_after(pointer, value.clone()), [expected], "{pointer} = {value}");
    }
}

#[test]
fn a_number_needs_a_tolerance_that_is_not_negative() {
    let mut test = example();
    let question = &mut test["questions"][0];
    question.as_object_mut().unwrap().remove("choices");
    question["kind"] = json!("numeric");
    question["answer"] = json!({"number": 2, "tolerance": -0.5});
    let findings = read(&test.to_string()).unwrap_err();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].pointer, "/questions/0/answer/tolerance");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let mut test = example();
    test["title"] = json!("");
    test["questions"][0]["points"] = json!("two");
    test["questions"][1]["answer"] = json!({});
    let pointers: Vec<_> = read(&test.to_string()).unwrap_err().into_iter().map(|finding| finding.pointer).collect();
    let expected =
        ["/title", "/questions/0/points", "/questions/1/answer/model_answer", "/questions/1/answer/key_points"];
    assert_eq!(pointers, expected);
}

#[test]
fn what_is_no_json_is_told_with_its_line() {
    let findings = read("{\n  \"slug\": sums\n}").unwrap_err();
    assert!(findings[0].detail.contains("line 2 column"), "{findings:?}");
}

#[test]
fn the_hash_follows_the_content_and_not_the_spelling() {
    let test = read(&example().to_string()).unwrap();
    assert_eq!(test.source_hash(), read(&serde_json::to_string_pretty(&example()).unwrap()).unwrap().source_hash());
    assert_eq!(test.source_hash().len(), 64);
    let mut other = example();
    other["questions"][1]["explanation"] = json!("There is another reason.");
    assert_ne!(test.source_hash(), read(&other.to_string()).unwrap().source_hash());
    assert_eq!(test.max_score(), Points(600));
}
