//! From a submission over HTTP to the event on the student's stream: idle, one student at a time; and at saturation, how
//! many attempts a second are fully processed (graded, ranked, notified, mailed).

use std::time::{Duration, Instant};

use anyhow::Context;
use bellwork_testkit::folder::Folder;
use bellwork_testkit::program::Program;
use bellwork_tests::installation::{Api, Installation};
use bellwork_tests::student::{Student, simple_answers};
use clap::Args;
use futures_util::future::try_join_all;
use serde_json::Value;

use crate::figures::Figures;

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Submissions of the idle measurement.
    #[arg(long, default_value_t = 300)]
    samples: usize,
    /// Submissions of each round at saturation.
    #[arg(long, default_value_t = 10_000)]
    attempts: usize,
    /// Students who submit at the same time.
    #[arg(long, default_value_t = 64)]
    students: usize,
    /// Rounds at saturation; the median is told.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

const WARM_UP: usize = 30;

/// Measures the journey on a fresh installation with one API process and one worker process.
pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Figures> {
    let mut installation = Installation::new().await;
    let mail = Folder::in_memory();
    for (name, value) in [("LOG", "warn"), ("DATABASE_POOL_SIZE", "16"), ("MAIL_DIR", &mail.path().to_string_lossy())] {
        installation.set(name, value);
    }
    let api = installation.api().await;
    let _workers: Program = installation.workers("");
    let mut figures = Figures::default();
    let mut idle = idle(&installation, &api, arguments.samples).await?;
    figures.add_latencies("submit to SSE event, idle", &mut idle);
    let mut rates = Vec::new();
    for _ in 0..arguments.rounds {
        rates.push(saturate(&installation, &api, arguments).await?);
    }
    rates.sort_by(f64::total_cmp);
    figures.add("attempts fully processed, saturated", rates[rates.len() / 2], "1/s");
    Ok(figures)
}

async fn idle(installation: &Installation, api: &Api, samples: usize) -> anyhow::Result<Vec<Duration>> {
    let student = installation.student(api).await;
    let test = student.test("algebra").await;
    let answers = simple_answers(&test);
    let mut stream = student.stream(None).await;
    stream.next_of("hello").await;
    let mut latencies = Vec::with_capacity(samples);
    for sample in 0..WARM_UP + samples {
        let submitted = Instant::now();
        let attempt = student.submit(&test, &answers).await;
        let event = stream.data_of("notification").await;
        anyhow::ensure!(event["data"]["attempt_id"] == attempt["id"], "another event came: {event}");
        if sample >= WARM_UP {
            latencies.push(submitted.elapsed());
        }
    }
    Ok(latencies)
}

/// Submits as fast as the API takes it, and waits until every job of it is done. Returns attempts a second from the
/// first submission to the last job's end.
async fn saturate(installation: &Installation, api: &Api, arguments: &Arguments) -> anyhow::Result<f64> {
    settle(installation).await?;
    let students = registered(installation, api, arguments.students).await;
    let test = students[0].test("algebra").await;
    let answers = simple_answers(&test);
    let each = arguments.attempts / arguments.students;
    let began = Instant::now();
    let submitting = students.iter().map(|student| submit_many(student, &test, &answers, each));
    try_join_all(submitting).await?;
    settle(installation).await?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let attempts = (each * arguments.students) as f64;
    Ok(attempts / began.elapsed().as_secs_f64())
}

async fn registered(installation: &Installation, api: &Api, count: usize) -> Vec<Student> {
    let mut students = Vec::with_capacity(count);
    for _ in 0..count {
        students.push(installation.student(api).await);
    }
    students
}

async fn submit_many(student: &Student, test: &Value, answers: &Value, count: usize) -> anyhow::Result<()> {
    for _ in 0..count {
        student.submit(test, answers).await;
    }
    Ok(())
}

/// Waits until no job is unfinished.
async fn settle(installation: &Installation) -> anyhow::Result<()> {
    loop {
        let unfinished: bool = sqlx::query_scalar("select exists (select from jobs where finished_at is null)")
            .fetch_one(&installation.database)
            .await
            .context("the ledger cannot be read")?;
        if !unfinished {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
