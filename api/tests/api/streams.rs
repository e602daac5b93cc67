//! The live stream: each notification once and in order, whatever breaks.

use bellwork_testkit::test_run::redis_url;
use bellwork_testkit::{until, within};
use rand::RngExt;
use reqwest::Method;
use sqlx::PgPool;

use crate::application::Application;
use crate::events::{Events, progress};
use crate::link::Link;

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_stream_greets_and_then_brings_what_happens(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    app.notify(student.id, "before").await;
    let (mut events, hello) = Events::greeted(&student, None).await;
    assert!((3_000..15_000).contains(&hello.retry.unwrap()));
    assert_eq!(hello.data["resumed"], false);
    assert_eq!(hello.data["heartbeat_seconds"], app.config.http.stream_heartbeat.as_secs());
    assert_eq!(hello.data["from"], hello.id.as_str(), "a client resumes from there even if it has seen nothing else");
    assert!(hello.id.ends_with("-1"), "{hello:?}");

    app.notify(student.id, "now").await;
    let block = events.next().await.unwrap();
    assert_eq!((block.event.as_str(), &block.data["body"]), ("notification", &"now".into()));
    let listed = student.get("/api/notifications?limit=1").await.body;
    assert_eq!(block.data, listed["items"][0]);

    app.publisher.publish(&[(student.id, progress(40))]).await;
    let block = events.next().await.unwrap();
    assert_eq!((block.event.as_str(), block.id.as_str(), &block.data["percent"]), ("progress", "", &40.into()));
    assert!(app.metric("bellwork_publish_to_write_seconds_count", "").await >= 1.0);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn cut_at_random_points_each_notification_comes_once_and_in_order(database: PgPool) {
    const ALL: i64 = 200;
    let app = Application::start(database).await;
    let student = app.student().await;
    let (first, hello) = Events::greeted(&student, None).await;
    let writing = async {
        for number in 1..=ALL {
            app.notify(student.id, &number.to_string()).await;
        }
    };
    let reading = async {
        let (mut events, mut last_id, mut seen) = (first, hello.id, Vec::new());
        while seen.len() < usize::try_from(ALL).unwrap() {
            for _ in 0..rand::rng().random_range(1..=20) {
                let block = events.next().await.unwrap();
                assert_eq!(block.event, "notification");
                seen.push(block.data["seq"].as_i64().unwrap());
                last_id = block.id;
                if seen.len() == usize::try_from(ALL).unwrap() {
                    break;
                }
            }
            let (reopened, hello) = Events::greeted(&student, Some(&last_id)).await;
            assert_eq!((&hello.data["resumed"], &hello.id), (&true.into(), &last_id));
            events = reopened;
        }
        seen
    };
    let ((), seen) = within("all notifications", futures_util::future::join(writing, reading)).await;
    assert_eq!(seen, (1..=ALL).collect::<Vec<_>>());
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_long_absence_is_replayed_before_what_happens_now(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let (_, hello) = Events::greeted(&student, None).await;
    for _ in 0..350 {
        app.write(student.id, "missed").await;
    }
    let path = format!("/api/notifications/stream?last_event_id={}", hello.id);
    let request = student.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(request.status(), 200, "the parameter does as well as the header");
    let (mut events, hello) = Events::greeted(&student, Some(&hello.id)).await;
    assert_eq!(hello.data["resumed"], true);
    app.notify(student.id, "now").await;
    for seq in 1..=351 {
        assert_eq!(events.next_seq().await, seq);
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_cannot_be_replayed_is_a_reset(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    for _ in 0..5 {
        app.write(student.id, "old").await;
    }
    let (_, hello) = Events::greeted(&student, None).await;
    let epoch = hello.id.strip_suffix("-5").unwrap().to_owned();
    sqlx::query("delete from notifications where seq <= 3").execute(&app.database).await.unwrap();
    for id in ["otherepoch-2".to_owned(), format!("{epoch}-6"), format!("{epoch}-1"), "nonsense".to_owned()] {
        let (mut events, hello) = Events::greeted(&student, Some(&id)).await;
        assert_eq!((&hello.data["resumed"], hello.id.as_str()), (&false.into(), format!("{epoch}-5").as_str()), "{id}");
        assert_eq!(events.next().await.unwrap().event, "reset", "{id}");
        drop(events);
    }
    let (mut events, hello) = Events::greeted(&student, Some(&format!("{epoch}-3"))).await;
    assert_eq!(hello.data["resumed"], true, "the rows after it are there");
    assert_eq!((events.next_seq().await, events.next_seq().await), (4, 5));
    app.notify(student.id, "new").await;
    assert_eq!(events.next_seq().await, 6);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_event_that_was_lost_comes_with_the_next_one_or_with_the_patrol(database: PgPool) {
    let app = Application::start_with(database, &[("STREAM_HEARTBEAT_SECONDS", "1")]);
    let student = app.student().await;
    let (mut events, _) = Events::greeted(&student, None).await;
    app.write(student.id, "lost").await;
    app.notify(student.id, "told").await;
    assert_eq!((events.next_seq().await, events.next_seq().await), (1, 2));
    app.write(student.id, "lost, and nothing follows").await;
    assert_eq!(events.next_seq().await, 3);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_event_that_comes_twice_is_sent_once(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let (mut events, _) = Events::greeted(&student, None).await;
    let notification = app.write(student.id, "once").await;
    for _ in 0..3 {
        let event = bellwork_shared::events::Event::Notification(notification.clone());
        app.publisher.publish(&[(student.id, event)]).await;
    }
    app.notify(student.id, "next").await;
    assert_eq!((events.next_seq().await, events.next_seq().await), (1, 2));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn two_tabs_get_everything_and_another_student_nothing(database: PgPool) {
    let app = Application::start(database).await;
    let (student, other) = (app.student().await, app.student().await);
    let (mut first, _) = Events::greeted(&student, None).await;
    let (mut second, _) = Events::greeted(&student, None).await;
    let (mut foreign, _) = Events::greeted(&other, None).await;
    app.notify(student.id, "to both").await;
    assert_eq!((first.next_seq().await, second.next_seq().await), (1, 1));
    drop(first);
    app.notify(student.id, "to the one that is left").await;
    assert_eq!(second.next_seq().await, 2);
    app.notify(other.id, "theirs").await;
    assert_eq!(foreign.next().await.unwrap().data["body"], "theirs");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_broken_connection_to_redis_loses_nothing(database: PgPool) {
    let link = Link::to(&redis_url()).await;
    let app = Application::start_with(database, &[("CACHE_REDIS_URL", &link.url)]);
    let student = app.student().await;
    let (mut events, _) = Events::greeted(&student, None).await;
    for round in 1..=5 {
        link.cut();
        app.notify(student.id, "during the break").await;
        assert_eq!(events.next_seq().await, round);
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_client_that_goes_away_is_forgotten_at_once(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let streams = async || app.anybody().get("/api/health").await.body["streams"].as_u64().unwrap();
    let (events, _) = Events::greeted(&student, None).await;
    assert_eq!(streams().await, 1);
    drop(events);
    until("the stream is gone", async || streams().await == 0).await;
    app.stop().await;
}
