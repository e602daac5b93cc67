//! More to do than can be done.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bellwork_shared::events::{Event, Progress};
use bellwork_shared::ids::JobId;
use bellwork_testkit::{until, within};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::application::{Answer, Application, Caller, mostly_within, timed};
use crate::events::Events;
use crate::exam::Exam;

const CAPACITY: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

#[track_caller]
fn assert_shed(answer: &Answer) {
    answer.problem(503);
    assert_eq!(answer.body["type"], CAPACITY);
    assert!((1..=4).contains(&answer.header("retry-after").parse().unwrap()), "{answer:?}");
}

/// With a pool of its own on the database, so that the test has connections too.
fn start(database: &PgPool, connections: u32, settings: &[(&'static str, &'static str)]) -> (Application, PgPool) {
    let options = (*database.connect_options()).clone().options(settings.iter().copied());
    let pool = PgPoolOptions::new().max_connections(connections).connect_lazy_with(options);
    (Application::start_with(pool.clone(), &[]), pool)
}

/// How long a submission waits.
const SUBMISSION_WAITS: Duration = Duration::from_millis(2500);

/// Everybody asks while nothing is free. What is worth less is sent away while the submission waits, which gets what
/// becomes free then. Returns how long it has waited.
async fn a_busy_moment(app: &Application, pool: &PgPool, student: &Caller, exam: &Exam) -> Duration {
    assert_eq!(student.get("/api/attempts").await.status, 200, "nobody waits for the session");
    let busy = join_all((0..3).map(|_| pool.acquire())).await;
    let (anybody, ranking, submission) =
        (app.anybody(), format!("/api/leaderboard?test_id={}", exam.id), exam.submission());
    let began = Instant::now();
    let (submitted, ()) = tokio::join!(student.post("/api/attempts", &submission), async {
        let (ranking, read, ready) =
            tokio::join!(student.get(&ranking), student.get("/api/attempts"), anybody.get("/api/health/ready"));
        assert_eq!(ready.status, 200, "to be busy is not to be away");
        assert_shed(&ranking);
        assert_shed(&read);
        // The submission has waited too long for others to join it: if each waited its second, it would go in vain.
        for _ in 0..3 {
            assert_shed(&student.get("/api/attempts").await);
        }
        drop(busy);
    });
    let waited = began.elapsed();
    let is_served = submitted.status == 202;
    assert!(is_served || waited > SUBMISSION_WAITS, "{submitted:?}");
    waited
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn while_the_database_is_busy_what_is_worth_most_waits_longest(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let (app, pool) = start(&database, 3, &[]);
    let student = app.student().await;
    mostly_within(SUBMISSION_WAITS, "a submission is served", async || {
        a_busy_moment(&app, &pool, &student, &exam).await
    })
    .await;
    assert!(app.metric("bellwork_requests_shed_total", "worth=\"ranking\"").await >= 1.0);
    let ranking = format!("/api/leaderboard?test_id={}", exam.id);
    assert_eq!(student.get(&ranking).await.status, 200, "at once after it");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn while_the_database_is_busy_streams_go_on(database: PgPool) {
    let (app, pool) = start(&database, 3, &[]);
    let student = app.student().await;
    let (mut stream, _) = Events::greeted(&student, None).await;
    let busy = join_all((0..3).map(|_| pool.acquire())).await;
    assert_eq!(app.anybody().get("/api/health/live").await.status, 200);
    let progress = Progress { job_id: JobId::new(), percent: 50, message: "Half".to_owned(), text: None };
    app.publisher.publish(&[(student.id, Event::Progress(progress))]).await;
    assert_eq!(stream.next().await.expect("a live stream").event, "progress");
    drop(busy);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_request_has_one_patience_for_all_that_it_waits_for(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let (app, pool) = start(&database, 2, &[]);
    let (known, unknown) = (app.student().await, app.student().await);
    let (mut stream, _) = Events::greeted(&known, None).await;
    let busy = join_all((0..2).map(|_| pool.acquire())).await;
    // A submission needs a connection for its session, for its test and for its transaction.
    for student in [&known, &unknown] {
        mostly_within(2 * SUBMISSION_WAITS, "it waits once", async || {
            let waited = timed(async || assert_shed(&student.post("/api/attempts", &exam.submission()).await)).await;
            assert!(waited >= SUBMISSION_WAITS - Duration::from_millis(200), "{waited:?}");
            waited
        })
        .await;
    }
    mostly_within(Duration::from_millis(2800), "a stream is turned away", async || {
        timed(async || assert!(Events::open(&known, None).await.end().await.is_some())).await
    })
    .await;
    drop(busy);
    assert_eq!(unknown.post("/api/attempts", &exam.submission()).await.status, 202);
    app.notify(known.id, "all is well").await;
    assert_eq!(stream.next_seq().await, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn who_waits_for_what_a_lesser_request_looks_for_outlasts_it(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let (app, pool) = start(&database, 2, &[]);
    let student = app.student().await;
    let health = async || app.anybody().get("/api/health").await.body;
    until("the cache hears", async || health().await["cache_hears"] == true).await;
    let busy = join_all((0..2).map(|_| pool.acquire())).await;
    let ranking = format!("/api/leaderboard?test_id={}", exam.id);
    // The ranking looks for the session, and the submission waits for that.
    let (ranking, submitted) = tokio::join!(
        async {
            let shed = student.get(&ranking).await;
            drop(busy);
            shed
        },
        async {
            let looks_for_it = |caches: &Value| {
                let sessions = caches.as_array().unwrap().iter().find(|figures| figures["cache"] == "sessions");
                sessions.unwrap()["requests"] == 1
            };
            until("the ranking waits", async || looks_for_it(&health().await["caches"])).await;
            student.post("/api/attempts", &exam.submission()).await
        }
    );
    assert_shed(&ranking);
    assert_eq!(submitted.status, 202, "{submitted:?}");
    app.stop().await;
}

/// A connection takes a while, so that the database can do so much and no more.
fn slow(database: &PgPool, connections: u32) -> PgPool {
    let options = PgPoolOptions::new().max_connections(connections).before_acquire(|connection, _| {
        Box::pin(async move { connection.execute("select pg_sleep(0.005)").await.map(|_| true) })
    });
    options.connect_lazy_with((*database.connect_options()).clone())
}

/// What became of the requests of one kind.
#[derive(Default)]
struct Fate {
    answered: AtomicU32,
    shed: AtomicU32,
}

impl Fate {
    /// Enough to compare shares.
    const ENOUGH: u32 = 200;

    async fn hammer(&self, caller: &Caller, path: &str, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            match caller.get(path).await.status.as_u16() {
                200 => self.answered.fetch_add(1, Ordering::Relaxed),
                503 => self.shed.fetch_add(1, Ordering::Relaxed),
                status => panic!("{status}"),
            };
        }
    }

    fn is_known(&self) -> bool {
        self.answered.load(Ordering::Relaxed) + self.shed.load(Ordering::Relaxed) >= Self::ENOUGH
    }

    fn share_shed(&self) -> f64 {
        let [answered, shed] = [&self.answered, &self.shed].map(|count| f64::from(count.load(Ordering::Relaxed)));
        shed / (answered + shed)
    }
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn at_more_than_it_can_do_submissions_pass_and_rankings_go_first(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start_with(slow(&database, 2), &[]);
    let students = join_all((0..4).map(|_| app.student())).await;
    assert_eq!(students[3].post("/api/attempts", &exam.submission()).await.status, 202);
    let (rankings, reads, over) = (Fate::default(), Fate::default(), AtomicBool::new(false));
    let path = format!("/api/leaderboard?test_id={}", exam.id);
    let ranking = join_all((0..60).map(|n| rankings.hammer(&students[n % 3], &path, &over)));
    let reading = join_all((0..60).map(|n| reads.hammer(&students[n % 3], "/api/attempts", &over)));
    let submitting = within("both crowds are answered", async {
        while !rankings.is_known() || !reads.is_known() {
            let answer = students[3].post("/api/attempts", &exam.submission()).await;
            assert_eq!(answer.status, 202, "{answer:?}");
        }
        over.store(true, Ordering::Relaxed);
    });
    tokio::join!(ranking, reading, submitting);
    let (rankings, reads) = (rankings.share_shed(), reads.share_shed());
    assert!(rankings > 0.0, "there was room for all");
    assert!(rankings > reads, "{rankings} of the rankings, {reads} of the reads");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_file_comes_as_slowly_as_its_line(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    // Longer than any answer may take.
    let pause = Duration::from_secs(13);
    let chunks = stream::unfold(0, move |sent| async move {
        match sent {
            0 => Some((Ok::<_, std::io::Error>(Bytes::from_static(b"::One::1 + 1 ")), 1)),
            1 => {
                tokio::time::sleep(pause).await;
                Some((Ok(Bytes::from_static(b"{#2}\n")), 2))
            }
            _ => None,
        }
    });
    let request = admin.request(Method::POST, "/api/admin/imports?title=Slow").header("content-type", "text/plain");
    let answer = Answer::of(request.body(reqwest::Body::wrap_stream(chunks))).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn any_number_who_ask_for_health_cost_one_look_a_second(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let counted = "create sequence looks;
                   alter table installation rename to installed;
                   create view installation as select * from installed where nextval('looks') > 0";
    database.execute(counted).await.unwrap();
    let since = Instant::now();
    for _ in 0..10 {
        let asked = (0..30).map(|n| ["/api/health", "/api/health/ready"][n % 2]);
        let answers = join_all(asked.map(async |path| app.anybody().get(path).await)).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    }
    let looks: i64 = sqlx::query_scalar("select last_value from looks").fetch_one(&database).await.unwrap();
    let most = i64::try_from(since.elapsed().as_secs()).unwrap() + 1;
    assert!((1..=most).contains(&looks), "{looks} looks in {:?}", since.elapsed());
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_statement_that_takes_too_long_is_503(database: PgPool) {
    let (app, _) = start(&database, 3, &[("statement_timeout", "200ms")]);
    let mut holder = database.begin().await.unwrap();
    holder.execute("lock table practice_tests in access exclusive mode").await.unwrap();
    let answer = app.anybody().get("/api/tests").await;
    answer.problem(503);
    assert!(!answer.body.to_string().contains("statement"), "{answer:?}");
    holder.rollback().await.unwrap();
    assert_eq!(app.anybody().get("/api/tests").await.status, 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_answer_that_takes_too_long_is_given_up(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let (app, pool) = start(&database, 2, &[("statement_timeout", "10s")]);
    let student = app.student().await;
    let mut holder = database.begin().await.unwrap();
    holder.execute("lock table leaderboard_histogram in access exclusive mode").await.unwrap();
    let ask = async || assert_shed(&student.get(&format!("/api/leaderboard?test_id={}", exam.id)).await);
    let took = timed(ask).await;
    assert!((2..10).contains(&took.as_secs()), "not at once, and before its statement ends: {took:?}");
    within("both connections are free again", join_all((0..2).map(|_| pool.acquire()))).await;
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn two_hundred_logins_at_once_leave_the_process_alive(database: PgPool) {
    let app = Application::start(database).await;
    let anybody = app.anybody();
    let body = json!({ "email": "nobody@example.com", "password": "wrong horse" });
    let over = AtomicBool::new(false);
    let began = Instant::now();
    let (logins, lives) = tokio::join!(
        async {
            let answers = join_all((0..200).map(|_| anybody.post("/api/auth/login", &body))).await;
            over.store(true, Ordering::Relaxed);
            answers
        },
        async {
            let mut slowest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let live = async || assert_eq!(anybody.get("/api/health/live").await.status, 200);
                slowest = slowest.max(timed(live).await);
            }
            slowest
        }
    );
    assert!(logins.iter().all(|answer| [401, 429, 503].contains(&answer.status.as_u16())), "{logins:?}");
    assert!(logins.iter().any(|answer| answer.status == 401));
    let all = began.elapsed();
    assert!(lives < (all / 2).max(Duration::from_secs(2)), "{lives:?} of {all:?}: it stood still");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_client_that_never_ends_its_request_is_shown_out(database: PgPool) {
    let app = Application::start(database).await;
    let mut slow = TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    slow.write_all(b"GET /api/tests HTTP/1.1\r\nHost: here\r\nX-Slow: ").await.unwrap();
    let mut said = String::new();
    within("the connection is closed", slow.read_to_string(&mut said)).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_head_without_end_is_refused(database: PgPool) {
    let app = Application::start(database).await;
    let mut large = TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    let line = format!("X-Large: {}\r\n", "x".repeat(4000));
    large.write_all(b"GET /api/tests HTTP/1.1\r\nHost: here\r\n").await.unwrap();
    // It may close while we still write.
    for _ in 0..200 {
        if large.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut said = Vec::new();
    let _ = within("the connection is closed", large.read_to_end(&mut said)).await;
    assert!(!said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
    assert_eq!(app.anybody().get("/api/tests").await.status, 200);
    app.stop().await;
}
