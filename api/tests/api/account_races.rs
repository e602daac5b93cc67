//! What is asked for by an old password, or in an old session, at the very moment of a new password.

use bellwork_shared::ids::UserId;
use bellwork_shared::users::change;
use bellwork_shared::{api_tokens, passwords, sessions};
use bellwork_testkit::until;
use chrono::{TimeDelta, Utc};
use futures_util::future::{join, join3};
use reqwest::Method;
use serde_json::json;
use sqlx::{PgConnection, PgPool, PgTransaction};

use crate::account_sessions::{OUTDATED, log_in};
use crate::application::Application;

/// Keeps everybody else off the user's row until the transaction ends.
async fn hold(database: &PgPool, user: UserId) -> PgTransaction<'static> {
    let mut tx = database.begin().await.unwrap();
    sqlx::query("select from users where id = $1 for update").bind(user.0).execute(&mut *tx).await.unwrap();
    tx
}

/// Resolves when that many statements wait for somebody's lock.
async fn held_up(database: &PgPool, statements: i64) {
    let select =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let waiting = async || sqlx::query_scalar::<_, i64>(select).fetch_one(database).await.unwrap() == statements;
    until("they wait for the row", waiting).await;
}

/// All that a mailed reset does to the account.
async fn reset(conn: &mut PgConnection, user: UserId, password: &str) {
    change::reset_password(conn, user, &passwords::hash(password).unwrap()).await.unwrap();
    sessions::end_all(conn, user).await.unwrap();
    api_tokens::revoke_all(conn, user).await.unwrap();
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_login_by_the_old_password_does_not_outlive_its_change(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let email = student.email().await;
    let mut held = hold(&database, student.id).await;
    let change = async {
        held_up(&database, 1).await;
        reset(&mut held, student.id, "battery staple").await;
        held.commit().await.unwrap();
    };
    let (login, ()) = join(log_in(&app, &email, "correct horse"), change).await;
    login.problem(401);
    assert_eq!(app.count("sessions").await, 0);
    assert_eq!(log_in(&app, &email, "battery staple").await.status, 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_outdated_hash_that_is_outrun_opens_nothing(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let email = student.email().await;
    sqlx::query("update users set password_hash = $1").bind(OUTDATED).execute(&database).await.unwrap();
    let mut held = hold(&database, student.id).await;
    let change = async {
        held_up(&database, 1).await;
        reset(&mut held, student.id, "battery staple").await;
        held.commit().await.unwrap();
    };
    let (login, ()) = join(log_in(&app, &email, "correct horse"), change).await;
    login.problem(401);
    assert_eq!(log_in(&app, &email, "battery staple").await.status, 200, "the new password stays");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn two_logins_that_both_renew_a_hash_both_open_a_session(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let email = student.email().await;
    sqlx::query("update users set password_hash = $1").bind(OUTDATED).execute(&database).await.unwrap();
    let held = hold(&database, student.id).await;
    let release = async {
        held_up(&database, 2).await;
        held.commit().await.unwrap();
    };
    let log_in = || log_in(&app, &email, "correct horse");
    let (first, second, ()) = join3(log_in(), log_in(), release).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200), "{first:?} {second:?}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_token_asked_for_during_a_reset_does_not_outlive_it(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let wanted = json!({ "name": "laptop", "scopes": ["read"], "expires_at": Utc::now() + TimeDelta::days(1) });
    let mut held = hold(&database, student.id).await;
    let change = async {
        held_up(&database, 1).await;
        reset(&mut held, student.id, "battery staple").await;
        held.commit().await.unwrap();
    };
    let (issued, ()) = join(student.post("/api/me/tokens", &wanted), change).await;
    issued.problem(401);
    assert_eq!(app.count("api_tokens").await, 0);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn nobody_erases_an_account_by_the_old_password_after_a_reset(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let email = student.email().await;
    let mut changing = database.begin().await.unwrap();
    reset(&mut changing, student.id, "battery staple").await;
    let change = async {
        held_up(&database, 1).await;
        changing.commit().await.unwrap();
    };
    let farewell = json!({ "password": "correct horse" });
    let (erased, ()) = join(student.send(Method::DELETE, "/api/me", &farewell), change).await;
    erased.problem(401);
    assert_eq!(log_in(&app, &email, "battery staple").await.status, 200);
    app.stop().await;
}
