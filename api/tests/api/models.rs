//! AI models: listed, kept by operators, voted on and ranked.

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Answer, Application, Caller};

/// The application with models of these slugs.
pub(crate) async fn application(database: PgPool, slugs: &[&str]) -> (Application, Caller) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    for slug in slugs {
        let model = json!({ "slug": slug, "name": slug.to_uppercase(), "description": "Explains." });
        assert_eq!(admin.post("/api/admin/models", &model).await.status, 201);
    }
    (app, admin)
}

pub(crate) async fn vote(caller: &Caller, slug: &str, value: i32) -> Answer {
    let voted = caller.post(&format!("/api/models/{slug}/vote"), &json!({ "value": value })).await;
    assert_eq!(voted.status, 200, "{voted:?}");
    voted
}

/// Rank, slug, up and down of each model.
pub(crate) async fn ranking(caller: &Caller, query: &str) -> Vec<(i64, String, i64, i64)> {
    let ranking = caller.get(&format!("/api/models/ranking{query}")).await;
    assert_eq!(ranking.status, 200, "{ranking:?}");
    let number = |item: &Value, name: &str| item[name].as_i64().unwrap();
    let items = ranking.body["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            let slug = item["model"]["slug"].as_str().unwrap().to_owned();
            (number(item, "rank"), slug, number(item, "up"), number(item, "down"))
        })
        .collect()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_vote_is_cast_changed_and_withdrawn(database: PgPool) {
    let (app, _) = application(database, &["ada"]).await;
    let student = app.student().await;
    for (value, up, down, score) in
        [(1, 1, 0, 0.206543), (1, 1, 0, 0.206543), (-1, 0, 1, 0.0), (0, 0, 0, 0.0), (0, 0, 0, 0.0)]
    {
        let voted = vote(&student, "ada", value).await.body;
        let expected = json!({
            "model": "ada", "vote": { "value": value, "cast_at": voted["vote"]["cast_at"] },
            "counts": { "up": up, "down": down, "score": score },
        });
        assert_eq!(voted, expected);
        for period in ["", "?period=all", "?period=month", "?period=week", "?period=day"] {
            assert_eq!(ranking(&student, period).await, [(1, "ada".to_owned(), up, down)], "{period}");
        }
    }
    assert_eq!((app.count("votes").await, app.count("vote_events").await), (1, 3), "repetitions are not events");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn equal_scores_share_a_rank_and_the_caller_sees_their_votes(database: PgPool) {
    let (app, _) = application(database, &["ada", "bob", "cid", "dan"]).await;
    let (one, other) = (app.student().await, app.student().await);
    vote(&one, "cid", 1).await;
    vote(&other, "cid", 1).await;
    vote(&one, "ada", -1).await;
    vote(&one, "bob", 1).await;
    vote(&other, "dan", 1).await;
    let expected = [(1, "cid", 2, 0), (2, "bob", 1, 0), (2, "dan", 1, 0), (4, "ada", 0, 1)];
    let expected = expected.map(|(rank, slug, up, down)| (rank, slug.to_owned(), up, down));
    assert_eq!(ranking(&one, "").await, expected);
    assert_eq!(ranking(&one, "?limit=1").await, expected[..1]);
    let items = one.get("/api/models/ranking").await.body;
    let mine: Vec<_> =
        items["items"].as_array().unwrap().iter().map(|item| item["my_vote"].as_i64().unwrap()).collect();
    assert_eq!((mine, &items["period"]), (vec![1, 1, 0, -1], &json!("all")));
    assert_eq!(items["items"][0]["model"], json!({ "slug": "cid", "name": "CID" }));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_is_no_vote_is_refused(database: PgPool) {
    let (app, admin) = application(database, &["ada", "old"]).await;
    let retired = admin.request(reqwest::Method::PATCH, "/api/admin/models/old").json(&json!({ "active": false }));
    assert_eq!(Answer::of(retired).await.body["active"], false);
    let student = app.student().await;
    for (body, pointer) in [
        (json!({ "value": 2 }), "/value"),
        (json!({ "value": 0.5 }), "/value"),
        (json!({ "value": null }), "/value"),
        (json!({}), "/value"),
        (json!({ "value": 1, "user_id": admin.id }), "/user_id"),
    ] {
        assert_eq!(student.post("/api/models/ada/vote", &body).await.problem(422), [pointer], "{body}");
    }
    for slug in ["old", "nobody", "Ada", "%00", "a%2Fb"] {
        student.post(&format!("/api/models/{slug}/vote"), &json!({ "value": 1 })).await.problem(404);
    }
    app.anybody().post("/api/models/ada/vote", &json!({ "value": 1 })).await.problem(401);
    app.anybody().get("/api/models/ranking").await.problem(401);
    assert_eq!(student.get("/api/models/ranking?period=year").await.problem(422), ["/period"]);
    assert_eq!(student.get("/api/models/ranking?limit=101").await.problem(422), ["/limit"]);
    assert_eq!(app.count("votes").await, 0);
    assert_eq!(ranking(&student, "").await.len(), 1, "a model that is not active is not ranked");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn models_are_listed_by_slug_page_by_page(database: PgPool) {
    let (app, _) = application(database, &["cid", "ada", "bob"]).await;
    let first = app.anybody().get("/api/models?limit=2").await.body;
    let slugs = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["slug"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(slugs(&first), ["ada", "bob"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app.anybody().get(&format!("/api/models?limit=2&cursor={cursor}")).await.body;
    assert_eq!((slugs(&second), &second["next_cursor"]), (vec!["cid".to_owned()], &Value::Null));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn operators_add_and_change_models(database: PgPool) {
    let (app, admin) = application(database, &["ada"]).await;
    let student = app.student().await;
    let model = json!({ "slug": "bob", "name": "Bob" });
    student.post("/api/admin/models", &model).await.problem(403);
    let made = admin.post("/api/admin/models", &model).await;
    assert_eq!(
        (made.status.as_u16(), &made.body["active"], &made.body["description"]),
        (201, &json!(true), &json!(""))
    );
    admin.post("/api/admin/models", &model).await.problem(409);
    for (field, text) in [("slug", "A B"), ("slug", ""), ("name", " "), ("name", "a\0b"), ("description", "a\0")] {
        let mut wrong = json!({ "slug": "cid", "name": "Cid" });
        wrong[field] = json!(text);
        assert_eq!(admin.post("/api/admin/models", &wrong).await.problem(422), [format!("/{field}")]);
    }
    let patch = |slug: &str, body: Value| {
        admin.request(reqwest::Method::PATCH, &format!("/api/admin/models/{slug}")).json(&body)
    };
    let changed = Answer::of(patch("bob", json!({ "name": "Robert" }))).await.body;
    assert_eq!((&changed["name"], &changed["slug"]), (&json!("Robert"), &json!("bob")));
    assert_eq!(Answer::of(patch("bob", json!({ "slug": "rob" }))).await.problem(422), ["/slug"]);
    Answer::of(patch("nobody", json!({}))).await.problem(404);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn votes_of_many_at_once_are_all_counted(database: PgPool) {
    let (app, admin) = application(database, &["ada"]).await;
    let students = join_all((0..24).map(|_| app.student())).await;
    join_all(students.iter().map(async |student| {
        for value in [1, -1, 0, 1] {
            vote(student, "ada", value).await;
        }
    }))
    .await;
    assert_eq!(ranking(&admin, "?period=day").await, [(1, "ada".to_owned(), 24, 0)]);
    app.stop().await;
}
