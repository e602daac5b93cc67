//! `bellwork journey`: a student's way through Bellwork, over HTTP only, shown as it happens.

mod answering;
mod api;
mod mailbox;
mod memory;
mod report;
mod waiting;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bellwork_shared::answers::Answer;
use bellwork_shared::attempts::AttemptStatus;
use bellwork_shared::ids::TestId;
use clap::Args;
use rand::seq::IndexedRandom;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::advice::{Misuse, advised};
use crate::screen::Screen;
use api::{Api, Attempt, Events, Leaderboard, Profile, Submission, Test};
use report::Report;
use waiting::Arrival;

/// The result may be there before the ranking; this long it is asked for.
const RANKING_PATIENCE: Duration = Duration::from_secs(5);
/// The mail follows the notification; this long it is looked for.
const MAIL_PATIENCE: Duration = Duration::from_secs(10);
/// The first event comes at once.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Play a student's journey: register, take a test, watch the result arrive over Server-Sent Events. Ends with 0 only if
/// the notification about the attempt arrived on the stream.
#[derive(Debug, Args)]
pub(crate) struct Journey {
    /// Where bellwork-api is.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// Where mails are written as files, to show the one about the result.
    #[arg(long, value_name = "DIR")]
    mail_dir: Option<PathBuf>,
    /// The longest wait for the notification.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

impl Journey {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err(Misuse(format!("--url {} is no address of an API: write http://host:port.", self.url)).into());
        }
        let mut report = Report::begin(screen, &self.url)?;
        let mut api = Api::new(&self.url)?;
        let student = register(&mut api, &mut report).await?;
        let test = choose_test(&api, &mut report).await?;
        let stream = listen(&api, &mut report).await?;
        let answers = answering::answer_all(&test.questions);
        report.answered(&answers)?;
        let submission = Submission { test_id: test.id, answers };
        let arrival = self.submit_and_wait(&api, &submission, stream, &mut report).await?;
        let attempt = read_result(&api, &test, &arrival, &mut report).await?;
        let standing = read_ranking(&api, &test, &student, &mut report).await?;
        let mail = self.find_mail(&student, &arrival, &mut report).await?;
        submit_again(&api, &submission, &arrival, &mut report).await?;
        report.end(
            &arrival,
            &json!({
                "student": student, "test": { "id": test.id, "title": test.title }, "attempt_id": arrival.attempt,
                "job_id": arrival.job, "accepted_ms": millis(arrival.accepted), "notified_ms": millis(arrival.notified),
                "progress_events": arrival.progress_events, "event_id": arrival.event_id,
                "notification": arrival.notification, "score": attempt.score, "max_score": attempt.max_score,
                "ranking": standing.me, "mail": mail,
            }),
        )
    }

    async fn submit_and_wait(
        &self,
        api: &Api,
        submission: &Submission,
        stream: Events,
        report: &mut Report<'_>,
    ) -> anyhow::Result<Arrival> {
        let key = Uuid::new_v4();
        let began = Instant::now();
        let accepted = api.submit(submission, key).await?;
        let patience = Duration::from_secs(self.timeout);
        let wait = waiting::Wait { accepted, key, began, took: began.elapsed(), patience };
        report.submitted(&wait)?;
        waiting::wait(api, wait, stream, report).await
    }

    /// The mail about the result: another one came with the registration.
    async fn find_mail(
        &self,
        student: &Profile,
        arrival: &Arrival,
        report: &mut Report<'_>,
    ) -> anyhow::Result<Option<mailbox::Mail>> {
        let Some(dir) = &self.mail_dir else { return Ok(None) };
        let began = Instant::now();
        let mut mail = mailbox::find(dir, &student.email, arrival.job)?;
        while mail.is_none() && began.elapsed() < MAIL_PATIENCE {
            report.waiting("for the mail", began.elapsed())?;
            tokio::time::sleep(PAUSE).await;
            mail = mailbox::find(dir, &student.email, arrival.job)?;
        }
        report.mail(mail.as_ref(), dir)?;
        Ok(mail)
    }
}

fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e4).round() / 10.0
}

async fn register(api: &mut Api, report: &mut Report<'_>) -> anyhow::Result<Profile> {
    let began = Instant::now();
    let student = api.register(&answering::new_student()).await?;
    report.registered(&student, began.elapsed())?;
    Ok(student)
}

async fn choose_test(api: &Api, report: &mut Report<'_>) -> anyhow::Result<Test> {
    let began = Instant::now();
    let tests: Vec<TestId> = api.tests().await?;
    let Some(id) = tests.choose(&mut rand::rng()) else {
        return Err(advised("There is no practice test to take.", "Import some: `bellwork seed`."));
    };
    let test = api.test(*id).await?;
    report.chosen(&test, tests.len(), began.elapsed())?;
    Ok(test)
}

async fn listen(api: &Api, report: &mut Report<'_>) -> anyhow::Result<Events> {
    let began = Instant::now();
    let mut stream = api.open_stream(None).await?;
    let first = tokio::time::timeout(HELLO_PATIENCE, stream.next()).await;
    match first.map_err(|_| silent_stream())?? {
        Some(event) if event.kind == "hello" => report.listening(began.elapsed())?,
        Some(event) => anyhow::bail!("the stream began with the event {}, not with hello", event.kind),
        None => return Err(advised("The stream ended before its first event.", "The API may be stopping: try again.")),
    }
    Ok(stream)
}

fn silent_stream() -> anyhow::Error {
    advised("The stream is open, but says nothing.", "Does a proxy before the API hold answers back? See deploy/.")
}

async fn read_result(api: &Api, test: &Test, arrival: &Arrival, report: &mut Report<'_>) -> anyhow::Result<Attempt> {
    let attempt = api.attempt(arrival.attempt).await?;
    if attempt.status != AttemptStatus::Graded {
        let next = format!("`bellwork jobs show {}` says why.", arrival.job);
        return Err(advised("The notification arrived, but the attempt has no result.", next));
    }
    report.result(test, &attempt)?;
    Ok(attempt)
}

async fn read_ranking(
    api: &Api,
    test: &Test,
    student: &Profile,
    report: &mut Report<'_>,
) -> anyhow::Result<Leaderboard> {
    let began = Instant::now();
    let mut standing = api.leaderboard(test.id).await?;
    while standing.me.is_none() && began.elapsed() < RANKING_PATIENCE {
        report.waiting("for the ranking", began.elapsed())?;
        tokio::time::sleep(PAUSE).await;
        standing = api.leaderboard(test.id).await?;
    }
    report.ranking(&standing, student.id)?;
    Ok(standing)
}

/// What a browser does whose answer was lost: the same request once more.
async fn submit_again(
    api: &Api,
    submission: &Submission,
    arrival: &Arrival,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let again = api.submit(submission, arrival.key).await?;
    report.submitted_again(again.id == arrival.attempt, began.elapsed())
}

/// What the API accepts as given, for the report.
fn count(answers: &[Answer], is: impl Fn(&Answer) -> bool) -> usize {
    answers.iter().filter(|answer| is(answer)).count()
}
