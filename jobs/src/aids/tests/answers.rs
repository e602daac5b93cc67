//! What a model answers: streamed, checked, shared, and sent back.

use std::sync::Arc;
use std::time::Duration;

use bellwork_shared::ai::aids::{self, AidStatus};
use bellwork_shared::ai::forms::ExplanationAsked;
use bellwork_shared::events::channel;
use bellwork_shared::personal_data::erasure::erase;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::Semaphore;

use super::{Scene, TEXT, WRITTEN, good, text_of};
use crate::failure::Failure;
use crate::job::Job;
use crate::rehearsal;
use crate::rehearsal::chat_server::{Act, ChatServer, streamed, writes};

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_explanation_is_streamed_checked_stored_and_counted(database: PgPool) {
    let server = ChatServer::start([writes(&good())]).await;
    let scene = Scene::at(&database, &server).await;
    let student = scene.student("Zoe", WRITTEN).await;
    let mut listener = rehearsal::redis().pubsub().await.unwrap();
    listener.subscribe(channel(&scene.stage.prefix, student.id)).await.unwrap();
    let (job, explain) = scene.explanation(&student).await;
    let performed = scene.stage.perform_as(job, Some(student.id), &explain).await.unwrap();
    let result = performed.result();
    assert_eq!((&result["made_by"], &result["model"], &result["result"]), (&json!("ai"), &json!("tutor-1"), &good()));
    assert_eq!(result["usage"], json!({ "prompt_tokens": 100, "completion_tokens": 20, "requests": 1 }));
    let mut conn = database.acquire().await.unwrap();
    let aid = aids::find::<ExplanationAsked>(&mut conn, student.id, explain.aid_id).await.unwrap().unwrap();
    assert_eq!((aid.status, json!(aid.result)), (AidStatus::Ready, good()));
    assert_eq!(performed.children()[0].0, "notify_user");

    let mut told = listener.on_message();
    let mut text = String::new();
    while text.len() < TEXT.len() + 24 {
        text.push_str(&text_of(&mut told).await);
    }
    assert_eq!(text, format!("{TEXT}\nThe mill was a failure."), "no braces, no quotes");

    let request = server.requests().remove(0);
    assert_eq!(
        (&request.body["stream"], &request.body["stream_options"]["include_usage"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(request.material()["answer"], WRITTEN);
    let sent = request.body.to_string();
    assert!(!sent.contains("Zoe") && !sent.contains(&student.id.to_string()), "nothing personal: {sent}");
    assert!(
        !request.body["messages"][0].to_string().contains("Ignore"),
        "the student's words are in the section alone"
    );
    let used = scene.usage(student.id).await.unwrap();
    assert_eq!((used.requests, used.prompt_tokens, used.completion_tokens, used.cost_micros), (1, 100, 20, 140));
    assert_eq!(
        (scene.spending().await, scene.count("ai_calls").await, scene.count("ai_claims").await),
        ((140, 0), 0, 0)
    );
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn who_asks_for_the_same_gets_it_without_a_call(database: PgPool) {
    let server = ChatServer::start([writes(&good()), writes(&good())]).await;
    let scene = Scene::at(&database, &server).await;
    let (first, second) = (scene.student("Zoe", WRITTEN).await, scene.student("Ann", WRITTEN).await);
    scene.explain_number(&first).await.unwrap();
    let again = scene.explain_number(&second).await.unwrap();
    assert_eq!((&again.result()["result"], &again.result()["usage"]), (&good(), &Value::Null));
    assert_eq!((server.requests().len(), scene.usage(second.id).await), (1, None));
    let hits: i64 = sqlx::query_scalar("select hits from ai_results").fetch_one(&database).await.unwrap();
    assert_eq!(hits, 1);
    let (id, other) = scene.explanation_of(&second, 1).await;
    scene.stage.perform_as(id, Some(second.id), &other).await.unwrap();
    assert_eq!(server.requests().len(), 2, "another question is another commission");
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_is_said_of_own_words_is_kept_for_nobody_else(database: PgPool) {
    let quoting = json!({ "explanation": format!("You say: {WRITTEN}"), "remember": ["The mill was a failure."] });
    let server = ChatServer::start([writes(&quoting), writes(&good())]).await;
    let scene = Scene::at(&database, &server).await;
    let (first, second) = (scene.student("Zoe", WRITTEN).await, scene.student("Ann", WRITTEN).await);
    scene.explain(&first).await.unwrap();
    assert_eq!(scene.explain(&second).await.unwrap().result()["result"], good(), "asked for themselves");
    assert_eq!((scene.count("ai_results").await, scene.count("ai_claims").await), (0, 0));
    erase(&mut database.acquire().await.unwrap(), first.id).await.unwrap();
    assert_eq!(scene.count("study_aids where result::text like '%You say%'").await, 0);
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn of_two_jobs_that_want_the_same_one_asks_and_the_other_waits(database: PgPool) {
    let let_on = Arc::new(Semaphore::new(1));
    let mut pieces = streamed(&good().to_string(), 3);
    let last = pieces.split_off(1).concat();
    pieces.push(last);
    let server = ChatServer::start([Act::Slowly(pieces, Arc::clone(&let_on))]).await;
    let scene = Arc::new(Scene::at(&database, &server).await);
    let (first, second) = (scene.student("Zoe", WRITTEN).await, scene.student("Ann", WRITTEN).await);
    let mut listener = rehearsal::redis().pubsub().await.unwrap();
    listener.subscribe(channel(&scene.stage.prefix, first.id)).await.unwrap();
    let asking = tokio::spawn({
        let scene = Arc::clone(&scene);
        async move { scene.explain_number(&first).await }
    });
    text_of(&mut listener.on_message()).await;
    let waits = scene.explain_number(&second).await.unwrap_err();
    assert!(matches!(waits, Failure::Snooze(wait) if wait <= Duration::from_secs(2)), "{waits:?}");
    let_on.add_permits(1);
    asking.await.unwrap().unwrap();
    scene.explain_number(&second).await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_bad_answer_is_sent_back_once_with_what_is_wrong(database: PgPool) {
    let html = json!({ "explanation": "<b>Wrong</b>", "remember": ["x"] });
    let server = ChatServer::start([writes(&html), writes(&good())]).await;
    let scene = Scene::at(&database, &server).await;
    let student = scene.student("Zoe", WRITTEN).await;
    let performed = scene.explain(&student).await.unwrap();
    assert_eq!(performed.result()["result"], good());
    let second = server.requests().remove(1);
    let messages = second.body["messages"].as_array().unwrap();
    assert_eq!((messages.len(), &messages[2]["content"]), (4, &json!(html.to_string())));
    assert!(messages[3]["content"].as_str().unwrap().contains("has HTML in \"explanation\""), "{}", messages[3]);
    assert_ne!(second.header("idempotency-key"), server.requests()[0].header("idempotency-key"));
    assert_eq!(scene.usage(student.id).await.unwrap().requests, 2);
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_answer_that_stays_bad_is_a_visible_failure_and_nothing_is_kept(database: PgPool) {
    let empty = json!({ "explanation": TEXT, "remember": [] });
    let server = ChatServer::start([writes(&empty), writes(&json!("sorry"))]).await;
    let scene = Scene::at(&database, &server).await;
    let student = scene.student("Zoe", WRITTEN).await;
    let (id, job) = scene.explanation_of(&student, 2).await;
    let failure = scene.stage.perform_as(id, Some(student.id), &job).await.unwrap_err();
    assert!(matches!(failure, Failure::Fatal { .. }), "{failure:?}");
    assert!(failure.to_string().contains("still does not keep to the schema"), "{failure}");
    assert_eq!((scene.count("ai_results").await, scene.count("ai_claims").await), (0, 0));
    assert_eq!(scene.usage(student.id).await.unwrap().requests, 2, "both calls happened");
    let aftermath = scene.stage.bury(&job).await;
    assert_eq!(aftermath.children[0].payload["kind"], "study_aid_failed");
    let mut conn = database.acquire().await.unwrap();
    let aid = aids::find::<ExplanationAsked>(&mut conn, student.id, job.aid_id).await.unwrap().unwrap();
    assert_eq!(aid.status, AidStatus::Failed);
    job.reopened(&mut conn).await.unwrap();
    let aid = aids::find::<ExplanationAsked>(&mut conn, student.id, job.aid_id).await.unwrap().unwrap();
    assert_eq!(aid.status, AidStatus::Queued);
}
