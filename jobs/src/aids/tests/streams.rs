//! Streams that break, and connections that end.

use std::sync::Arc;

use bellwork_shared::events::channel;
use bellwork_testkit::{until, within};
use sqlx::PgPool;
use tokio::sync::Semaphore;

use super::{Scene, WRITTEN, good, text_of};
use crate::failure::Failure;
use crate::rehearsal;
use crate::rehearsal::chat_server::{Act, ChatServer, says, streamed, writes};

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_stream_that_breaks_is_retried_and_what_it_used_is_counted(database: PgPool) {
    let whole = streamed(&good().to_string(), 7);
    let error = b"data: {\"error\": {\"message\": \"overloaded\"}}\n\n".to_vec();
    for (name, pieces, reason) in [
        ("Cut", whole[..3].to_vec(), "broke off in the middle"),
        ("Torn", vec![whole[0].clone(), whole[1][..9].to_vec()], "broke off in the middle"),
        ("Garbage", vec![whole[0].clone(), b"data: \xff\xfe{\n\n".to_vec()], "no part of a chat completion"),
        ("Error", vec![whole[0].clone(), error], "overloaded"),
        ("Endless", vec![vec![b'x'; 2 << 20]], "longer than 1 MiB"),
        ("Empty", vec![b"data: [DONE]\n\n".to_vec()], "is empty"),
    ] {
        let server = ChatServer::start([Act::Pieces(pieces), writes(&good())]).await;
        let scene = Scene::at(&database, &server).await;
        let student = scene.student(name, name).await;
        let (id, job) = scene.explanation(&student).await;
        let failure = scene.stage.perform_as(id, Some(student.id), &job).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Retry { .. }) && failure.to_string().contains(reason),
            "{name}: {failure:?}"
        );
        let used = scene.usage(student.id).await.unwrap();
        assert!(used.requests == 1 && used.prompt_tokens > 300, "{name}, by estimate: {used:?}");
        let performed = scene.stage.perform_as(id, Some(student.id), &job).await.unwrap();
        assert_eq!(performed.result()["result"], good(), "{name}");
        assert_eq!(scene.usage(student.id).await.unwrap().requests, 2, "{name}");
    }
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn lines_may_end_in_any_way_and_a_server_need_not_stream(database: PgPool) {
    let events = streamed(&good().to_string(), 40).concat();
    let returned = String::from_utf8(events).unwrap().replace('\n', "\r\n").replace("data: [", ": ping\r\n\r\ndata: [");
    let bytes = returned.into_bytes().chunks(11).map(<[u8]>::to_vec).collect();
    for (name, act) in [("Crlf", Act::Pieces(bytes)), ("Plain", says(&good()))] {
        let server = ChatServer::start([act]).await;
        let scene = Scene::at(&database, &server).await;
        let student = scene.student(name, name).await;
        assert_eq!(scene.explain(&student).await.unwrap().result()["result"], good(), "{name}");
        assert_eq!(scene.usage(student.id).await.unwrap().completion_tokens, 20, "{name}: as the server says");
    }
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_refused_call_costs_nothing(database: PgPool) {
    let server = ChatServer::start([Act::Answer("500 Internal Server Error", "", String::new())]).await;
    let scene = Scene::at(&database, &server).await;
    let student = scene.student("Zoe", WRITTEN).await;
    let failure = scene.explain_number(&student).await.unwrap_err();
    assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
    assert_eq!((scene.usage(student.id).await, scene.spending().await), (None, (0, 0)));
    assert_eq!((scene.count("ai_calls").await, scene.count("ai_claims").await), (0, 0));
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_cancelled_job_hangs_up_on_the_model_and_frees_what_it_held(database: PgPool) {
    let let_on = Arc::new(Semaphore::new(2));
    let server = ChatServer::start([Act::Slowly(streamed(&good().to_string(), 5)[..2].to_vec(), let_on)]).await;
    let scene = Arc::new(Scene::at(&database, &server).await);
    let student = scene.student("Zoe", WRITTEN).await;
    let id = student.id;
    let mut listener = rehearsal::redis().pubsub().await.unwrap();
    listener.subscribe(channel(&scene.stage.prefix, id)).await.unwrap();
    let running = tokio::spawn({
        let scene = Arc::clone(&scene);
        async move { scene.explain_number(&student).await }
    });
    text_of(&mut listener.on_message()).await;
    running.abort();
    within("the connection ends with the job", server.hung_up()).await;
    until("both are given back", async || scene.count("ai_calls").await + scene.count("ai_claims").await == 0).await;
    let used = scene.usage(id).await.unwrap();
    assert!(used.requests == 1 && used.completion_tokens > 0, "what was written until then: {used:?}");
}
