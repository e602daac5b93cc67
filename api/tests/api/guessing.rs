//! Guessing passwords, and what it does to those who do not.

use std::net::IpAddr;

use bellwork_testkit::{test_run, until};
use reqwest::{Client, Method};
use serde_json::json;
use sqlx::PgPool;

use crate::application::{Answer, Application, Caller};

impl Caller {
    /// From another address of this machine.
    fn from(&self, address: &str) -> Self {
        let http = Client::builder().local_address(address.parse::<IpAddr>().unwrap()).build().unwrap();
        Self { http, ..self.clone() }
    }

    async fn guess(&self, email: &str, password: &str) -> Answer {
        self.post("/api/auth/login", &json!({ "email": email, "password": password })).await
    }
}

/// What Redis keeps of failures to sign in to `app`, rewritten by `script`, in which `key` is the key of each.
async fn rewrite_failures(app: &Application, script: &str) {
    let script = format!("for _, key in ipairs(redis.call('KEYS', ARGV[1])) do {script} end");
    let mut call = redis::cmd("EVAL");
    call.arg(script).arg(0).arg(format!("{{{}:throttle}}:*", app.config.redis.prefix));
    call.exec_async(&mut test_run::redis().await).await.unwrap();
}

/// As if nobody had failed to sign in.
pub(crate) async fn forget_failures(app: &Application) {
    rewrite_failures(app, "redis.call('DEL', key)").await;
}

/// Lets no door open again that the last attempt has closed, so that it does not matter how soon the next one comes.
async fn hold_doors(app: &Application) {
    let hold = "local level, at, opens = string.match(redis.call('GET', key), '^(%S+) (%S+) (%S+)$')
                if level and tonumber(opens) > tonumber(at) then
                  redis.call('SET', key, string.format('%s %s %.0f', level, at, opens + 3600000), 'KEEPTTL')
                end";
    rewrite_failures(app, hold).await;
}

/// A registered address, and the cookie of its device.
async fn registered(app: &Application, email: &str) -> String {
    let body = json!({ "email": email, "password": "correct horse", "display_name": "Ada" });
    let answer = app.anybody().post("/api/auth/register", &body).await;
    let cookies = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let device = cookies.into_iter().find(|cookie| cookie.starts_with("bellwork_known=")).unwrap();
    assert!(device.contains("HttpOnly") && !device.contains("ada"), "{device}");
    device.split(';').next().unwrap().to_owned()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn fifty_failures_of_an_attacker_do_not_lock_the_student_out(database: PgPool) {
    let app = Application::start(database).await;
    let device = registered(&app, "ada@example.com").await;
    let attacker = app.anybody().from("127.0.0.66");
    let mut slowed = 0;
    for guess in 0..50 {
        let answer = attacker.guess("ada@example.com", &format!("guess {guess}")).await;
        hold_doors(&app).await;
        if answer.status == 429 {
            answer.problem(429);
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
            slowed += 1;
        } else {
            answer.problem(401);
        }
    }
    assert_eq!(slowed, 45, "five are free");
    attacker.guess("ada@example.com", "correct horse").await.problem(429);

    assert_eq!(app.anybody().guess("ada@example.com", "correct horse").await.status, 200, "from another address");
    let at_his_side = app.anybody().from("127.0.0.66").request(Method::POST, "/api/auth/login");
    let body = json!({ "email": "ada@example.com", "password": "correct horse" });
    let answer = Answer::of(at_his_side.header("cookie", device).json(&body)).await;
    assert_eq!(answer.status, 200, "a known device, even from his address: {answer:?}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_address_that_nobody_has_is_slowed_alike(database: PgPool) {
    let app = Application::start(database).await;
    registered(&app, "ada@example.com").await;
    let mut answers = Vec::new();
    for (email, address) in [("ada@example.com", "127.0.0.71"), ("nobody@example.com", "127.0.0.72")] {
        let caller = app.anybody().from(address);
        let mut seen = Vec::new();
        for _ in 0..8 {
            let answer = caller.guess(email, "wrong horse").await;
            hold_doors(&app).await;
            seen.push((answer.status.as_u16(), answer.body["type"].clone()));
        }
        answers.push(seen);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].last().unwrap().0, 429);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn asking_which_addresses_are_registered_is_slowed(database: PgPool) {
    let app = Application::start(database).await;
    registered(&app, "ada@example.com").await;
    let prober = app.anybody().from("127.0.0.73");
    let body = json!({ "email": "ada@example.com", "password": "correct horse", "display_name": "Eve" });
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(prober.post("/api/auth/register", &body).await.status.as_u16());
    }
    assert_eq!(statuses[0], 409);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| [409, 429].contains(status)));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn while_redis_is_away_each_process_counts_for_itself(database: PgPool) {
    let app = Application::start_with(database, &[("CACHE_REDIS_URL", "redis://127.0.0.1:1")]);
    registered(&app, "ada@example.com").await;
    let attacker = app.anybody().from("127.0.0.74");
    for _ in 0..5 {
        attacker.guess("ada@example.com", "wrong horse").await.problem(401);
    }
    // Nobody can hold the doors of this process: on a slow machine some open before the next guess, but each is closed for
    // twice as long as the one before it.
    until("it is slowed", async || attacker.guess("ada@example.com", "wrong horse").await.status == 429).await;
    assert_eq!(app.anybody().guess("ada@example.com", "correct horse").await.status, 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn guesses_at_the_door_do_not_slow_who_is_signed_in(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let email = student.email().await;
    for host in 81..=89 {
        let guesser = app.anybody().from(&format!("127.0.0.{host}"));
        for guess in 0..5 {
            guesser.guess(&email, &format!("guess {guess}")).await;
        }
    }
    hold_doors(&app).await;
    app.anybody().from("127.0.0.90").guess(&email, "correct horse").await.problem(429);
    let elsewhere = student.from("127.0.0.91");
    let change = json!({ "current_password": "correct horse", "new_password": "battery staple" });
    let changed = elsewhere.post("/api/me/password", &change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let student = elsewhere.with(&changed.body["token"]);
    let farewell = json!({ "password": "wrong horse" });
    for _ in 0..5 {
        student.send(Method::DELETE, "/api/me", &farewell).await.problem(403);
    }
    hold_doors(&app).await;
    student.send(Method::DELETE, "/api/me", &farewell).await.problem(429);
    app.stop().await;
}
