//! How streams end: by drain, by session, by number, and by not being read.

use bellwork_testkit::{until, within};
use serde_json::json;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::application::{Application, Caller};
use crate::events::Events;

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_drain_ends_streams_with_a_retry_and_turns_new_ones_away(database: PgPool) {
    let app = Application::start_with(database, &[("STREAM_DRAIN_SECONDS", "2")]);
    let (student, other) = (app.student().await, app.student().await);
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(Events::greeted(&student, None).await.0);
    }
    let meanwhile = async {
        until("it is not ready", async || app.anybody().get("/api/health/ready").await.status == 503).await;
        assert_eq!(app.anybody().get("/api/health").await.body["status"], "draining");
        let mut late = Events::open(&other, None).await;
        assert!(late.end().await.is_some());
        assert_eq!(other.get("/api/me").await.status, 200, "requests are still answered");
        for mut events in open {
            assert!(events.end().await.is_some());
        }
    };
    within("the drain", futures_util::future::join(app.server.drain(), meanwhile)).await;
    let database = app.database.clone();
    app.server.ended().await.unwrap();
    database.close().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_stream_ends_with_its_session(database: PgPool) {
    let app = Application::start_with(database, &[("STREAM_HEARTBEAT_SECONDS", "1")]);
    let (here, elsewhere, stays) = (app.student().await, app.student().await, app.student().await);
    let (mut at_logout, _) = Events::greeted(&here, None).await;
    let (mut by_patrol, _) = Events::greeted(&elsewhere, None).await;
    let (mut open, _) = Events::greeted(&stays, None).await;
    here.post("/api/auth/logout", &json!({})).await;
    assert!(at_logout.end().await.is_some());
    sqlx::query("delete from sessions where user_id = $1").bind(elsewhere.id.0).execute(&app.database).await.unwrap();
    assert!(by_patrol.end().await.is_some());
    app.notify(stays.id, "still here").await;
    assert_eq!(open.next_seq().await, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn with_the_seventh_stream_the_first_ends(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let mut open = Vec::new();
    for _ in 0..7 {
        open.push(Events::greeted(&student, None).await.0);
    }
    assert!(open.remove(0).end().await.unwrap() >= 5_000);
    app.notify(student.id, "to the six").await;
    for events in &mut open {
        assert_eq!(events.next_seq().await, 1);
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_client_that_does_not_read_is_cut_off_while_others_go_on(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let mut slow = open_without_reading(&app, &student).await;
    let (mut quick, _) = Events::greeted(&student, None).await;
    until("both are open", async || app.anybody().get("/api/health").await.body["streams"] == 2).await;
    let large = "x".repeat(64 * 1024);
    let mut seq = 0;
    while app.anybody().get("/api/health").await.body["streams"] == 2 {
        seq += 1;
        assert!(seq < 1000, "the one that does not read should have been cut off");
        app.notify(student.id, &large).await;
        assert_eq!(quick.next_seq().await, seq);
    }
    assert!(app.metric("bellwork_stream_closed_total", "reason=\"slow\"").await >= 1.0);
    app.notify(student.id, "after").await;
    assert_eq!(quick.next_seq().await, seq + 1);

    let mut rest = Vec::new();
    within("the end of the slow stream", slow.read_to_end(&mut rest)).await.unwrap();
    let text = String::from_utf8_lossy(&rest);
    let last: i64 = text.rsplit("\"seq\":").next().unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(last < seq, "it got up to {last} of {seq}");
    let id = text.rsplit("\nid: ").next().unwrap().lines().next().unwrap().to_owned();
    let (mut resumed, _) = Events::greeted(&student, Some(&id)).await;
    assert_eq!(resumed.next_seq().await, last + 1, "it goes on where it was cut");
    app.stop().await;
}

/// Asks for a stream, and for its end with the body, through a small window.
async fn open_without_reading(app: &Application, student: &Caller) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut connection = socket.connect(app.server.address()).await.unwrap();
    let token = student.token.as_ref().unwrap();
    let request = format!(
        "GET /api/notifications/stream HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}
