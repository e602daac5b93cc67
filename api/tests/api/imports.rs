//! Files of questions: handed in, read by a worker, reported row by row, and written again.

use bellwork_queue::Drain;
use bellwork_shared::ids::TestId;
use bellwork_testkit::within;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Answer, Application, Caller};
use crate::exam::Exam;
use crate::work::work;

const QUIZ: &str =
    "::One::1 + 1 {#2}\n\n::Two::[html]<b>What</b>? {=a ~=b#no}\n\n::Three::What? {=a ~b#no}\n\n::Four::Write. {}";

async fn hand_in(caller: &Caller, query: &str, content_type: &str, file: impl Into<reqwest::Body>) -> Answer {
    let path = format!("/api/admin/imports{query}");
    let request = caller.request(Method::POST, &path).header("content-type", content_type).body(file);
    within("the file is taken", Answer::of(request)).await
}

/// Hands in a file, lets a worker read it, and returns the import.
async fn import(app: &Application, admin: &Caller, query: &str, content_type: &str, file: &'static str) -> Value {
    let accepted = hand_in(admin, query, content_type, file).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let location = accepted.header("location").to_owned();
    assert_eq!(location, format!("/api/admin/imports/{}", accepted.body["id"].as_str().unwrap()));
    assert_eq!(admin.get(&location).await.body["state"], "queued");
    work(app, "maintenance", Drain::Ready).await;
    let job = admin.get(&format!("/api/jobs/{}", accepted.body["job_id"].as_str().unwrap())).await.body;
    assert_eq!((&job["state"], &job["result"]["import_id"]), (&json!("done"), &accepted.body["id"]));
    admin.get(&location).await.body
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_file_becomes_a_test_and_a_report(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let import = import(&app, &admin, "?title=Small%20quiz&subject=logic&filename=quiz.gift", "text/plain", QUIZ).await;
    assert_eq!(
        (&import["state"], &import["outcome"], &import["format"]),
        (&json!("done"), &json!("created"), &json!("gift"))
    );
    assert_eq!((&import["found"], &import["usable"]), (&json!(4), &json!(2)));

    let sheet = student.get(&format!("/api/tests/{}", import["test_id"].as_str().unwrap())).await.body;
    assert_eq!((&sheet["slug"], &sheet["subject"]), (&json!("small-quiz"), &json!("logic")));
    assert_eq!(sheet["questions"].as_array().unwrap().len(), 2);

    let report = format!("/api/admin/imports/{}/report", import["id"].as_str().unwrap());
    let all = admin.get(&report).await.body["items"].as_array().unwrap().clone();
    let lost = all.iter().filter(|row| row["severity"] == "lost").count();
    assert_eq!((json!(lost), json!(all.len() - lost)), (import["lost"].clone(), import["changed"].clone()));
    let feedback =
        all.iter().find(|row| row["pointer"] == "/answers/1/feedback" && row["question"] == "Three").unwrap();
    assert_eq!((&feedback["line"], &feedback["severity"]), (&json!(5), &json!("lost")));

    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = admin.get(&format!("{report}?limit=2{cursor}")).await.body;
        walked.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(walked, all);
    let csv = admin.request(Method::GET, &report).header("accept", "text/csv").send().await.unwrap();
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(csv.text().await.unwrap().lines().count(), all.len() + 1);
    assert_eq!(admin.get("/api/admin/imports").await.body["items"], json!([import]));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_dry_run_and_a_second_import_change_nothing(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let dry = import(&app, &admin, "?title=Quiz&dry_run=true", "text/plain", QUIZ).await;
    assert_eq!((&dry["outcome"], &dry["usable"], app.count("practice_tests").await), (&json!("checked"), &json!(2), 0));
    let first = import(&app, &admin, "?title=Quiz", "text/plain", QUIZ).await;
    let second = import(&app, &admin, "?title=Quiz", "text/plain", QUIZ).await;
    assert_eq!((&first["outcome"], &second["outcome"]), (&json!("created"), &json!("unchanged")));
    assert_eq!(first["test_id"], second["test_id"]);
    let other = import(&app, &admin, "?title=Quiz", "text/plain", "::One::1 + 1 {#3}").await;
    assert_eq!(
        (&other["state"], &other["error"]),
        (&json!("failed"), &json!("The test \"quiz\" exists with other content."))
    );
    assert_eq!((app.count("practice_tests").await, app.count("questions").await), (1, 2));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_key_that_can_be_read_in_two_ways_is_reported_and_not_stored(database: PgPool) {
    const SUMS: &str = "id,prompt,choice_a,choice_b,choice_c,choice_d,answer\n\
        five,2 + 3?,2,3,4,5,5\nfour,2 + 2?,2,3,4,5,4\nsix,\"3 + 3?,5,6,7,8,b\nseven,3 + 4?,5,6,7,8,c\n";
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let import = import(&app, &admin, "?title=Sums", "text/csv", SUMS).await;
    assert_eq!((&import["found"], &import["usable"], &import["lost"]), (&json!(3), &json!(1), &json!(2)));
    let report = admin.get(&format!("/api/admin/imports/{}/report", import["id"].as_str().unwrap())).await.body;
    let rows = report["items"].as_array().unwrap().iter();
    let rows: Vec<_> = rows.map(|row| (&row["line"], &row["question"], &row["pointer"])).collect();
    assert_eq!(rows, [(&json!(3), &json!("four"), &json!("/answer")), (&json!(4), &json!("six"), &json!(""))]);
    let test = admin.get(&format!("/api/admin/tests/{}", import["test_id"].as_str().unwrap())).await.body;
    assert_eq!(test["content"]["questions"][0]["answer"]["choice_ids"], json!(["d"]));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_hostile_file_fails_its_import_and_nothing_else(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let laughs = r#"<!DOCTYPE quiz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><quiz><question type="essay">&b;</question></quiz>"#;
    let failed = import(&app, &admin, "?title=Ha", "application/xml", laughs).await;
    assert_eq!((&failed["state"], &failed["lost"], &failed["outcome"]), (&json!("failed"), &json!(1), &json!(null)));
    let report = admin.get(&format!("/api/admin/imports/{}/report", failed["id"].as_str().unwrap())).await.body;
    assert!(report["items"][0]["detail"].as_str().unwrap().contains("document type"), "{report}");
    assert_eq!(import(&app, &admin, "?title=Quiz", "text/plain", QUIZ).await["state"], "done");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_is_no_file_of_questions_is_refused(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    hand_in(&app.anybody(), "", "text/plain", QUIZ).await.problem(401);
    hand_in(&student, "", "text/plain", QUIZ).await.problem(403);
    hand_in(&admin, "", "application/zip", QUIZ).await.problem(415);
    hand_in(&admin, "", "text/plain", vec![b'a'; 10 << 20]).await.problem(413);
    assert_eq!(hand_in(&admin, "", "text/plain", "").await.problem(409), [""]);
    assert_eq!(hand_in(&admin, "?format=docx", "text/plain", QUIZ).await.problem(422), ["/format"]);
    assert_eq!(
        hand_in(&admin, "?title=a%00b&filename=", "text/plain", QUIZ).await.problem(422),
        ["/title", "/filename"]
    );
    assert_eq!(hand_in(&admin, "?subject=%C3%B6", "text/plain", QUIZ).await.problem(422), ["/subject"]);
    hand_in(&admin, "?colour=red", "text/plain", QUIZ).await.problem(422);
    assert_eq!((app.count("imports").await, app.count("jobs where kind = 'import_content'").await), (0, 0));
    let nothing = TestId::new();
    for path in ["imports/{}", "imports/{}/report", "tests/{}/export"] {
        let path = format!("/api/admin/{}", path.replace("{}", &nothing.to_string()));
        student.get(&path).await.problem(403);
        admin.get(&path).await.problem(404);
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_test_is_exported_and_what_got_lost_is_told(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let path = format!("/api/admin/tests/{}/export", exam.id);
    for (format, media_type, ending, lost) in [
        ("json", "application/json", "json", 0),
        ("gift", "text/plain", "gift", 3),
        ("moodle_xml", "application/xml", "xml", 2),
        ("csv", "text/csv", "csv", 3),
    ] {
        let file = admin.request(Method::GET, &format!("{path}?format={format}")).send().await.unwrap();
        let header = |name: &str| file.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), format!("{media_type}; charset=utf-8"));
        assert!(header("content-disposition").ends_with(&format!(".{ending}\"")), "{}", header("content-disposition"));
        assert_eq!(header("x-bellwork-lost"), lost.to_string(), "{format}");
        let report = admin.get(&format!("{path}?format={format}&report=true")).await.body;
        assert_eq!(
            (report["lost"].as_u64(), header("x-bellwork-changed")),
            (Some(lost), report["changed"].to_string())
        );
        assert!(file.text().await.unwrap().contains("Because") || format == "gift", "{format}");
    }
    assert_eq!(admin.get(&format!("{path}?format=docx")).await.problem(422), ["/format"]);
    app.stop().await;
}
