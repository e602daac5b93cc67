//! The list of what a student was told.

use serde_json::json;
use sqlx::PgPool;

use crate::application::Application;

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn the_newest_comes_first_and_is_read_once(database: PgPool) {
    let app = Application::start(database).await;
    let (student, other) = (app.student().await, app.student().await);
    for body in ["one", "two", "three"] {
        app.write(student.id, body).await;
    }
    let page = student.get("/api/notifications?limit=2").await.body;
    let bodies: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["body"].clone()).collect();
    assert_eq!(bodies, ["three", "two"]);
    let rest = student.get(&format!("/api/notifications?cursor={}", page["next_cursor"].as_str().unwrap())).await.body;
    assert_eq!((&rest["items"][0]["body"], &rest["next_cursor"]), (&json!("one"), &json!(null)));

    let path = format!("/api/notifications/{}/read", rest["items"][0]["id"].as_str().unwrap());
    other.post(&path, &json!({})).await.problem(404);
    let read = student.post(&path, &json!({})).await.body;
    assert!(read["read_at"].is_string(), "{read}");
    assert_eq!(student.post(&path, &json!({})).await.body, read);
    assert_eq!(student.post("/api/notifications/read-all", &json!({})).await.body, json!({ "updated": 2 }));
    assert_eq!(other.get("/api/notifications").await.body["items"], json!([]));
    app.stop().await;
}
