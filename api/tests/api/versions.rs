//! Writing, publishing and archiving tests, and what becomes of those who took them.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

use crate::application::{Answer, Application};
use crate::content::{self, grade, post_nothing, publish, publish_draft, republish, right_answers, save, sums};

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_attempt_keeps_the_text_and_the_key_that_it_was_made_at(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let id = publish(&admin, &sums("sums")).await;
    let asked = student.get(&format!("/api/tests/{id}")).await.body;
    let submission = json!({ "test_id": id, "answers": right_answers(&asked) });
    let before = student.post("/api/attempts", &submission).await.body;

    let mut next = sums("sums");
    next["questions"][0]["prompt"] = json!("Which is not two?");
    next["questions"][0]["answer"] = json!({ "choice_ids": ["b"] });
    next["questions"].as_array_mut().unwrap().pop();
    republish(&admin, &id, &next).await;
    grade(&app.database, &before["id"]).await;

    let graded = student.get(&format!("/api/attempts/{}", before["id"].as_str().unwrap())).await.body;
    assert_eq!((&graded["score"], &graded["max_score"]), (&json!(3), &json!(3)));
    let review = student.get(&format!("/api/attempts/{}/review", before["id"].as_str().unwrap())).await;
    assert_eq!((review.status.as_u16(), &review.body["version"]), (200, &json!(1)), "{review:?}");
    assert_eq!(review.body["questions"].as_array().unwrap().len(), 2);
    let first = &review.body["questions"][0];
    assert_eq!(first["prompt"], "How much is one plus one?");
    assert_eq!(
        (&first["answer"], &first["answer_key"]),
        (&json!({ "choice_ids": ["a"] }), &json!({ "choice_ids": ["a"] }))
    );
    assert_eq!((&first["correct"], &first["earned"]), (&json!(true), &json!(1)));
    assert_eq!(first["explanation"], "Count your fingers.");

    let late = student.post("/api/attempts", &submission).await;
    assert_eq!(late.status, 202, "who read the version before may hand in: {late:?}");
    let version: i32 = sqlx::query_scalar("select test_version from attempts where id = $1::text::uuid")
        .bind(late.body["id"].as_str().unwrap())
        .fetch_one(&app.database)
        .await
        .unwrap();
    assert_eq!(version, 1);
    sqlx::query("update test_versions set superseded_at = now() - interval '25 hours' where version = 1")
        .execute(&app.database)
        .await
        .unwrap();
    let refused = student.post("/api/attempts", &submission).await.problem(404);
    assert_eq!(refused, ["/answers/0/question_id", "/answers/1/question_id"], "but not for ever");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn students_get_published_tests_only(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let made = admin.post("/api/admin/tests", &sums("sums")).await;
    assert_eq!((made.status.as_u16(), &made.body["state"], made.header("etag")), (201, &json!("draft"), "\"r1\""));
    assert_eq!(made.header("location"), format!("/api/admin/tests/{}", made.body["id"].as_str().unwrap()));
    let id = made.body["id"].as_str().unwrap();
    let path = format!("/api/tests/{id}");
    student.get(&path).await.problem(404);
    assert_eq!(student.get("/api/tests").await.body["items"], json!([]));
    student.post("/api/attempts", &json!({ "test_id": id, "answers": [] })).await.problem(422);

    publish_draft(&admin, id).await;
    let asked = student.get(&path).await.body;
    assert_eq!((&asked["version"], asked["questions"].as_array().unwrap().len()), (&json!(1), 2));
    let submission = json!({ "test_id": id, "answers": right_answers(&asked) });
    let attempt = student.post("/api/attempts", &submission).await.body;
    grade(&app.database, &attempt["id"]).await;

    let archived = post_nothing(&admin, &format!("/api/admin/tests/{id}/archive")).await;
    assert_eq!((archived.status.as_u16(), &archived.body["state"]), (200, &json!("archived")));
    student.get(&path).await.problem(404);
    assert_eq!(student.post("/api/attempts", &submission).await.problem(404), ["/test_id"]);
    assert_eq!(student.get("/api/question-bank").await.body["items"], json!([]));
    let review = student.get(&format!("/api/attempts/{}/review", attempt["id"].as_str().unwrap())).await;
    assert_eq!(review.status, 200, "what was taken stays readable");

    publish_draft(&admin, id).await;
    assert_eq!(student.get(&path).await.body["version"], 1, "the same content is the same version");
    assert_eq!(student.get("/api/question-bank").await.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(admin.delete(&format!("/api/admin/tests/{id}")).await.status, 204);
    student.get(&path).await.problem(404);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn nobody_overwrites_what_they_have_not_seen(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let id = publish(&admin, &sums("sums")).await;
    let read = admin.get(&format!("/api/admin/tests/{id}")).await;
    let seen = read.header("etag").to_owned();
    let mut next = read.body["content"].clone();
    next["title"] = json!("More sums");

    let saved = save(&admin, &id, &seen, &next).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    assert_ne!(saved.header("etag"), seen);
    assert_eq!((&saved.body["content"]["title"], &saved.body["title"]), (&json!("More sums"), &json!("Sums")));
    save(&admin, &id, &seen, &next).await.problem(412);
    save(&admin, &id, "\"no tag of ours\"", &next).await.problem(409);
    admin.put(&format!("/api/admin/tests/{id}"), &next).await.problem(422);
    let stale = admin.request(Method::POST, &format!("/api/admin/tests/{id}/publish")).header("if-match", &seen);
    Answer::of(stale).await.problem(412);
    next["slug"] = json!("others");
    assert_eq!(save(&admin, &id, "*", &next).await.problem(409), ["/slug"]);
    admin.post("/api/admin/tests", &sums("sums")).await.problem(409);

    publish_draft(&admin, &id).await;
    let versions = admin.get(&format!("/api/admin/tests/{id}/versions?limit=1")).await.body;
    assert_eq!((&versions["items"][0]["version"], &versions["items"][0]["superseded_at"]), (&json!(2), &json!(null)));
    let cursor = versions["next_cursor"].as_str().unwrap();
    let earlier = admin.get(&format!("/api/admin/tests/{id}/versions?cursor={cursor}")).await.body;
    assert_eq!((&earlier["items"][0]["title"], &earlier["next_cursor"]), (&json!("Sums"), &json!(null)));
    let listed = admin.get("/api/admin/tests").await.body;
    assert_eq!((&listed["items"][0]["version"], &listed["items"][0]["draft_saved_at"]), (&json!(2), &json!(null)));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn concurrent_publishers_make_one_version_after_the_other(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let id = publish(&admin, &sums("sums")).await;
    let path = format!("/api/admin/tests/{id}/publish");
    let mut next = sums("sums");
    next["title"] = json!("Other sums");
    assert_eq!(save(&admin, &id, "*", &next).await.status, 200);
    let publishers = (0..10).map(|_| post_nothing(&admin, &path));
    for answer in futures_util::future::join_all(publishers).await {
        assert_eq!((answer.status.as_u16(), &answer.body["version"]), (200, &json!(2)), "{answer:?}");
    }
    assert_eq!((app.count("test_versions").await, app.count("questions").await), (2, 4));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn bad_content_is_refused_with_all_that_is_wrong(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let mut bad = sums("Sums!");
    bad["title"] = json!("a\u{0}b");
    bad["time_limit"] = json!({ "minutes": 0 });
    bad["questions"][0]["answer"] = json!({ "choice_ids": ["z"] });
    bad["questions"][1]["points"] = json!(1.5);
    bad["author"] = json!("me");
    let pointers = [
        "/slug",
        "/title",
        "/time_limit/minutes",
        "/questions/0/answer/choice_ids/0",
        "/questions/1/points",
        "/author",
    ];
    assert_eq!(admin.post("/api/admin/tests", &bad).await.problem(422), pointers);
    let id = publish(&admin, &sums("sums")).await;
    assert_eq!(save(&admin, &id, "*", &bad).await.problem(422), pointers);
    assert!(admin.post("/api/admin/tests", &json!([])).await.problem(422).contains(&String::new()));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn every_route_of_authors_refuses_students(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let id = publish(&admin, &content::sums("sums")).await;
    for (method, path) in [
        (Method::GET, "/api/admin/tests".to_owned()),
        (Method::POST, "/api/admin/tests".to_owned()),
        (Method::GET, format!("/api/admin/tests/{id}")),
        (Method::PUT, format!("/api/admin/tests/{id}")),
        (Method::DELETE, format!("/api/admin/tests/{id}")),
        (Method::POST, format!("/api/admin/tests/{id}/publish")),
        (Method::POST, format!("/api/admin/tests/{id}/archive")),
        (Method::GET, format!("/api/admin/tests/{id}/versions")),
    ] {
        Answer::of(student.request(method.clone(), &path).json(&sums("sums"))).await.problem(403);
        Answer::of(app.anybody().request(method, &path).json(&sums("sums"))).await.problem(401);
    }
    assert_eq!(student.get(&format!("/api/tests/{id}")).await.status, 200, "nothing has changed");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_review_is_its_students_and_waits_for_the_grading(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student, other) = (app.admin().await, app.student().await, app.student().await);
    let id = publish(&admin, &sums("sums")).await;
    let asked = student.get(&format!("/api/tests/{id}")).await.body;
    let submission = json!({ "test_id": id, "answers": [right_answers(&asked)[0]] });
    let attempt = student.post("/api/attempts", &submission).await.body;
    let path = format!("/api/attempts/{}/review", attempt["id"].as_str().unwrap());
    student.get(&path).await.problem(409);
    other.get(&path).await.problem(404);
    grade(&app.database, &attempt["id"]).await;
    other.get(&path).await.problem(404);
    let left_out = &student.get(&path).await.body["questions"][1];
    assert_eq!((&left_out["answer"], &left_out["earned"]), (&json!(null), &json!(0)));
    app.stop().await;
}
