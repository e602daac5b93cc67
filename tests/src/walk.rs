//! A walk over every GET route of the OpenAPI document, with paths and filters taken from the data that
//! `bellwork seed --scale` has loaded. A route that it cannot ask is a failure: so no new one is left out.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwork_shared::ids::UserId;
use bellwork_shared::sessions::{self, Lifetime};
use bellwork_shared::tokens::Token;
use reqwest::{Client, Response};
use serde_json::Value;
use sqlx::PgPool;

use crate::student::client;

/// The one who has much of everything.
const CALLER: &str = "student1@scale.example";
const SESSION: Duration = Duration::from_hours(24);

/// What every list takes.
const OF_LISTS: [&str; 2] = ["limit", "cursor"];

/// THE TABLE of what routes are asked that need more than a limit: statements that give paths. `$1` is the caller.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "/api/admin/dead",
        &[
            "select '/api/admin/dead?limit=1'",
            "select '/api/admin/dead?limit=100'",
            "select '/api/admin/dead?limit=100&queue=email&kind=send_email'",
        ],
    ),
    ("/api/admin/imports/{id}", &["select '/api/admin/imports/' || id from imports order by id desc"]),
    (
        "/api/admin/imports/{id}/report",
        &[
            "select '/api/admin/imports/' || id || '/report?limit=1' from imports order by id desc",
            "select '/api/admin/imports/' || id || '/report?limit=100' from imports order by id desc",
        ],
    ),
    (
        "/api/admin/jobs",
        &[
            "select '/api/admin/jobs?limit=1'",
            "select '/api/admin/jobs?limit=100'",
            "select '/api/admin/jobs?limit=100&state=dead'",
            "select '/api/admin/jobs?limit=100&state=dead&queue=email&error=550%20%23.%23.%23%20mailbox%20%23%20is%20unknown'",
            "select '/api/admin/jobs?limit=100&state=ready'",
            "select '/api/admin/jobs?limit=100&queue=ai&kind=grade_attempt'",
            "select '/api/admin/jobs?limit=100&q=mailbox'",
            "select '/api/admin/jobs?limit=100&q=' || left(id::text, 13) from jobs where state = 'dead'",
        ],
    ),
    ("/api/admin/jobs/{id}", &["select '/api/admin/jobs/' || id from jobs where state = 'dead'"]),
    (
        "/api/admin/tests/{id}",
        &["select '/api/admin/tests/' || id from practice_tests where slug like 'scale-6__' order by slug"],
    ),
    (
        "/api/admin/tests/{id}/export",
        &[
            "select '/api/admin/tests/' || id || '/export?format=json' from practice_tests where slug like 'scale-6__' order by slug",
            "select '/api/admin/tests/' || id || '/export?format=gift&report=true' from practice_tests where slug like 'scale-6__' order by slug",
        ],
    ),
    (
        "/api/admin/tests/{id}/versions",
        &[
            "select '/api/admin/tests/' || id || '/versions?limit=100' from practice_tests where slug like 'scale-6__' order by slug",
        ],
    ),
    (
        "/api/admin/votes",
        &[
            "select '/api/admin/votes?limit=1'",
            "select '/api/admin/votes?limit=100'",
            "select '/api/admin/votes?limit=100&state=rejected'",
            "select '/api/admin/votes?limit=100&model=scale-20'",
            "select '/api/admin/votes?limit=100&rule=new_account'",
            "select '/api/admin/votes?limit=100&cluster=' || encode(cluster, 'hex') from votes where state = 'held'",
        ],
    ),
    (
        "/api/ai/explanations/{id}",
        &["select '/api/ai/explanations/' || id from study_aids where user_id = $1 and kind = 'explanation'"],
    ),
    (
        "/api/ai/flashcards/{id}",
        &["select '/api/ai/flashcards/' || id from study_aids where user_id = $1 and kind = 'flashcards'"],
    ),
    (
        "/api/ai/study-plans/{id}",
        &["select '/api/ai/study-plans/' || id from study_aids where user_id = $1 and kind = 'study_plan'"],
    ),
    ("/api/attempts/{id}", &["select '/api/attempts/' || id from attempts where user_id = $1 and status = 'graded'"]),
    (
        "/api/attempts/{id}/review",
        &["select '/api/attempts/' || id || '/review' from attempts where user_id = $1 and status = 'graded'"],
    ),
    ("/api/docs/{file}", &["select '/api/docs/start.js'"]),
    ("/api/jobs/{id}", &["select '/api/jobs/' || id from jobs where submitter = $1 order by id desc"]),
    (
        "/api/leaderboard",
        &[
            "select '/api/leaderboard?limit=1&test_id=' || id from practice_tests where slug like 'scale-_' order by slug",
            "select '/api/leaderboard?limit=100&test_id=' || id from practice_tests where slug like 'scale-_' order by slug",
            "select '/api/leaderboard?limit=100&period=month&test_id=' || id from practice_tests where slug like 'scale-_' order by slug",
        ],
    ),
    (
        "/api/leaderboard/neighbours",
        &[
            "select '/api/leaderboard/neighbours?around=1&test_id=' || id from practice_tests where slug like 'scale-_' order by slug",
            "select '/api/leaderboard/neighbours?around=25&period=all&test_id=' || id from practice_tests where slug like 'scale-_' order by slug",
        ],
    ),
    (
        "/api/models/ranking",
        &[
            "select '/api/models/ranking?limit=1'",
            "select '/api/models/ranking?limit=100'",
            "select '/api/models/ranking?limit=100&period=month'",
        ],
    ),
    (
        "/api/notifications/stream",
        &["select '/api/notifications/stream?last_event_id=' || stream_epoch || '-1' from installation"],
    ),
    (
        "/api/question-bank",
        &[
            "select '/api/question-bank?limit=1'",
            "select '/api/question-bank?limit=100'",
            "select '/api/question-bank?limit=100&subject=biology'",
            "select '/api/question-bank?limit=100&subject=biology&topic=biology-basics'",
            "select '/api/question-bank?limit=100&difficulty=2&kind=numeric'",
            "select '/api/question-bank?limit=100&q=volcano'",
            "select '/api/question-bank?limit=100&subject=biology&difficulty=1&kind=free_text&q=enzyme'",
            "select '/api/question-bank?page=3&per_page=100&subject=biology'",
        ],
    ),
    (
        "/api/question-bank/topics",
        &[
            "select '/api/question-bank/topics?limit=1'",
            "select '/api/question-bank/topics?limit=100'",
            "select '/api/question-bank/topics?limit=100&subject=biology'",
        ],
    ),
    ("/api/sittings/{id}", &["select '/api/sittings/' || id from sittings where user_id = $1"]),
    ("/api/tests/{id}", &["select '/api/tests/' || id from practice_tests where slug like 'scale-6__' order by slug"]),
];

/// A question to the API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// The route, as the document names it.
    pub route: String,
    /// Paths with queries that differ in ids alone; at least one.
    pub paths: Vec<String>,
}

impl Ask {
    /// The first of its paths.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.paths[0]
    }
}

/// An operator who is also the busiest student, at an API that serves what `bellwork seed --scale` has loaded.
#[derive(Debug)]
pub struct Walker {
    http: Client,
    url: String,
    token: String,
    caller: UserId,
    database: PgPool,
}

impl Walker {
    /// Signs in.
    ///
    /// # Panics
    /// If the data is not there.
    pub async fn new(url: &str, database: &PgPool) -> Self {
        let mut conn = database.acquire().await.expect("PostgreSQL runs");
        let caller = sqlx::query_scalar("update users set role = 'admin' where email = $1 returning id").bind(CALLER);
        let caller = UserId(caller.fetch_one(&mut *conn).await.expect("`bellwork seed --scale` has run"));
        sqlx::query("insert into exports values ($1, $1, now(), now(), '{}') on conflict do nothing")
            .bind(caller.0)
            .execute(&mut *conn)
            .await
            .expect("an export can be stored");
        let token = Token::random();
        sessions::insert(&mut conn, caller, token, "", Lifetime { absolute: SESSION, idle: SESSION })
            .await
            .expect("a session can be opened");
        Self { http: client(), url: url.to_owned(), token: token.reveal(), caller, database: database.clone() }
    }

    /// What there is to ask, each by up to `examples` paths.
    ///
    /// # Panics
    /// If a route takes what this module knows no example of.
    pub async fn asks(&self, examples: i64) -> Vec<Ask> {
        let document: Value = self.get("/api/openapi.json").await.json().await.expect("JSON");
        let paths = document["paths"].as_object().expect("a document has paths");
        let mut asks = Vec::new();
        for (route, operations) in paths.iter().filter(|(_, operations)| operations.get("get").is_some()) {
            let parameters = parameters(operations);
            let found = self.paths(route, &parameters, examples).await;
            for name in parameters.iter().filter(|name| name.as_str() != "cursor") {
                let named = found.iter().flatten().any(|path| path.contains(&format!("{name}=")));
                assert!(named, "no example of {route} has the parameter {name}: add one to the table in walk.rs");
            }
            asks.extend(found.into_iter().map(|paths| Ask { route: route.clone(), paths }));
        }
        asks
    }

    async fn paths(&self, route: &str, parameters: &BTreeSet<String>, examples: i64) -> Vec<Vec<String>> {
        let Some((_, statements)) = EXAMPLES.iter().find(|(example, _)| *example == route) else {
            assert!(!route.contains('{'), "no example of {route}: add one to the table in walk.rs");
            let is_list = parameters.iter().any(|name| OF_LISTS.contains(&name.as_str()));
            let queries: &[&str] = if is_list { &["?limit=1", "?limit=100"] } else { &[""] };
            return queries.iter().map(|query| vec![format!("{route}{query}")]).collect();
        };
        let mut paths = Vec::new();
        for statement in *statements {
            let statement =
                format!("select path from ({statement}) as example (path) where $1::uuid is not null limit $2");
            let found = sqlx::query_scalar(sqlx::AssertSqlSafe(statement.as_str())).bind(self.caller.0).bind(examples);
            let found: Vec<String> = found.fetch_all(&self.database).await.expect("a statement of the table is right");
            assert!(!found.is_empty(), "{route}: no rows for {statement}");
            paths.push(found);
        }
        paths
    }

    /// Gets `path`, whose answer must be a success.
    ///
    /// # Panics
    /// If it is not.
    pub async fn get(&self, path: &str) -> Response {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let response = request.send().await.expect("the API answers");
        assert!(
            response.status().is_success(),
            "{path}: {}: {}",
            response.status(),
            response.text().await.unwrap_or_default()
        );
        response
    }
}

/// The names of what an operation takes in its query.
fn parameters(operations: &Value) -> BTreeSet<String> {
    let parameters = operations["get"]["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
    of_query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
}
