//! The journey of a student, over HTTP only.

use bellwork_testkit::mail_server::MailServer;
use bellwork_tests::events::data;
use bellwork_tests::installation::Installation;

use crate::effects::happened_once;
use crate::key::right_answers;

/// The subject of the mail that comes with a registration.
const VERIFICATION: &str = "Subject: Is this your address?";

#[tokio::test]
async fn an_attempt_becomes_a_graded_result_on_the_students_screen() {
    let mail = MailServer::start().await;
    let mut installation = Installation::new().await;
    installation.set("SMTP_URL", &mail.url());
    let api = installation.api().await;
    let _workers = installation.workers("");
    let student = installation.student(&api).await;
    let test = student.test("biology").await;
    let mut stream = student.stream(None).await;
    let hello = stream.data_of("hello").await;
    assert_eq!(hello["resumed"], false, "{hello}");

    let submitted = student.submit(&test, &right_answers(&test)).await;
    assert_eq!(submitted["status"], "queued");
    let id = submitted["id"].as_str().unwrap();
    let event = stream.next_of("notification").await;
    let notification = data(&event);
    assert_eq!(notification["data"]["attempt_id"], id, "{notification}");
    assert!(event.last_id.ends_with("-1"), "the first of this student");

    let attempt = student.get(&format!("/api/attempts/{id}")).await;
    assert_eq!((&attempt["status"], &attempt["score"]), (&"graded".into(), &attempt["max_score"]), "{attempt}");
    let feedback = attempt["feedback"].as_array().unwrap();
    assert_eq!(feedback.len(), test["questions"].as_array().unwrap().len(), "every question has feedback");
    for (answer, question) in feedback.iter().zip(test["questions"].as_array().unwrap()) {
        let by = if question["kind"] == "free_text" { "rubric" } else { "exact" };
        assert_eq!((&answer["question_id"], &answer["graded_by"]), (&question["id"], &by.into()));
        assert_eq!((&answer["correct"], &answer["points"]), (&true.into(), &question["points"]), "{answer}");
        assert!(!answer["comment"].as_str().unwrap().is_empty());
    }

    let job = student.get(&format!("/api/jobs/{}", submitted["job_id"].as_str().unwrap())).await;
    assert_eq!((&job["state"], &job["kind"], &job["queue"]), (&"done".into(), &"grade_attempt".into(), &"ai".into()));
    happened_once(&installation, 1).await;
    let board = student.get(&format!("/api/leaderboard?test_id={}&period=week", test["id"].as_str().unwrap())).await;
    assert_eq!((&board["me"]["rank"], &board["total"]), (&1.into(), &1.into()), "{board}");
    assert_eq!(board["entries"][0]["user"]["id"], student.id.as_str());
    assert!(board["me"]["percentile"].is_number(), "{board}");

    let delivered = mail.mail(|mail| mail.contains(&student.email) && !mail.contains(VERIFICATION)).await;
    let score = attempt["score"].to_string();
    let header = |name: &str| delivered.lines().any(|line| line.to_lowercase().starts_with(name));
    assert!(header("message-id: <"), "{delivered}");
    assert!(delivered.contains("text/plain") && delivered.contains("text/html"), "{delivered}");
    let subject = delivered.lines().find(|line| line.starts_with("Subject:")).unwrap();
    assert!(subject.contains(&score), "{subject}");
    assert_eq!(mail.mails().len(), 2, "the other one came with the registration");
}
