//! Bellwork's API as a student's browser sees it. Replies are read leniently: new fields do not disturb.

use std::time::Duration;

use anyhow::Context;
use bellwork_shared::answers::Answer;
use bellwork_shared::attempts::{AttemptStatus, Feedback};
use bellwork_shared::ids::{AttemptId, JobId, QuestionId, TestId, UserId};
use bellwork_shared::points::Points;
use bellwork_shared::practice_tests::{Choice, QuestionKind, TimeLimit};
use bellwork_shared::server_events::EventStream;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::advice::advised;

/// A server that is there accepts a connection within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Every answer but the stream is complete within this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The student's live events.
pub(super) type Events = EventStream<reqwest::Error>;

/// Who registers.
#[derive(Debug, Serialize)]
pub(super) struct NewStudent {
    pub(super) email: String,
    pub(super) password: String,
    pub(super) display_name: String,
}

/// Who has registered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) id: UserId,
    pub(super) email: String,
    pub(super) display_name: String,
}

#[derive(Debug, Deserialize)]
struct Registered {
    user: Profile,
    token: String,
}

#[derive(Debug, Deserialize)]
struct Listed {
    items: Vec<ListedTest>,
}

#[derive(Debug, Deserialize)]
struct ListedTest {
    id: TestId,
    time_limit: Option<TimeLimit>,
}

/// A test to take.
#[derive(Debug, Deserialize)]
pub(super) struct Test {
    pub(super) id: TestId,
    pub(super) title: String,
    pub(super) questions: Vec<Question>,
}

/// A question as a student sees it.
#[derive(Debug, Deserialize)]
pub(super) struct Question {
    pub(super) id: QuestionId,
    pub(super) kind: QuestionKind,
    pub(super) prompt: String,
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    pub(super) points: Points,
}

/// What a student hands in.
#[derive(Debug, Serialize)]
pub(super) struct Submission {
    pub(super) test_id: TestId,
    pub(super) answers: Vec<Answer>,
}

/// What the API says to that.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Accepted {
    pub(super) id: AttemptId,
    pub(super) job_id: JobId,
}

/// An attempt, with its result if it has one.
#[derive(Debug, Deserialize)]
pub(super) struct Attempt {
    pub(super) status: AttemptStatus,
    pub(super) score: Option<Points>,
    pub(super) max_score: Points,
    #[serde(default)]
    pub(super) feedback: Option<Vec<Feedback>>,
}

/// The best of a test, and the student's own place.
#[derive(Debug, Deserialize)]
pub(super) struct Leaderboard {
    pub(super) entries: Vec<Entry>,
    pub(super) me: Option<Standing>,
    pub(super) total: u64,
}

/// One of the best.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) rank: u64,
    pub(super) user: Person,
    pub(super) score: Points,
}

/// Somebody on the leaderboard.
#[derive(Debug, Deserialize)]
pub(super) struct Person {
    pub(super) id: UserId,
    pub(super) display_name: String,
}

/// The student's own place.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) rank: u64,
    pub(super) percentile: f64,
    pub(super) score: Points,
}

/// RFC 9457.
#[derive(Debug, Default, Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

/// The API, after [`Api::register`] in the student's name.
pub(super) struct Api {
    client: reqwest::Client,
    base: String,
    authorization: String,
}

impl Api {
    /// The API at `url`.
    pub(super) fn new(url: &Url) -> anyhow::Result<Self> {
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("bellwork-journey/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT);
        if url.scheme() == "http" {
            // Otherwise the client cannot be built on a machine that has no certificates.
            client = client.tls_certs_only([]);
        }
        let client = client.build().context("the HTTP client cannot be built")?;
        let base = format!("{}/api", url.as_str().trim_end_matches('/'));
        Ok(Self { client, base, authorization: String::new() })
    }

    /// Makes an account and goes on in its name.
    pub(super) async fn register(&mut self, student: &NewStudent) -> anyhow::Result<Profile> {
        let request = self.client.post(self.at("/auth/register")).json(student);
        let registered: Registered = self.json("The registration", request).await?;
        self.authorization = format!("Bearer {}", registered.token);
        Ok(registered.user)
    }

    /// The tests that can be taken without a start: those without a time limit.
    pub(super) async fn tests(&self) -> anyhow::Result<Vec<TestId>> {
        let listed: Listed = self.json("The list of tests", self.client.get(self.at("/tests?limit=100"))).await?;
        Ok(listed.items.into_iter().filter(|test| test.time_limit.is_none()).map(|test| test.id).collect())
    }

    /// A test with its questions.
    pub(super) async fn test(&self, id: TestId) -> anyhow::Result<Test> {
        self.json("The test", self.client.get(self.at(&format!("/tests/{id}")))).await
    }

    /// The student's live events, after the one with `last_id`.
    pub(super) async fn open_stream(&self, last_id: Option<&str>) -> anyhow::Result<Events> {
        let mut request = self.client.get(self.at("/notifications/stream")).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        self.send("The event stream", request).await.map(|response| EventStream::of(response.bytes_stream()))
    }

    /// Hands answers in, once however often it is sent with this key.
    pub(super) async fn submit(&self, submission: &Submission, key: Uuid) -> anyhow::Result<Accepted> {
        let request = self.client.post(self.at("/attempts")).header("Idempotency-Key", format!("\"{key}\""));
        self.json("The submission", request.json(submission)).await
    }

    /// An attempt as it is now.
    pub(super) async fn attempt(&self, id: AttemptId) -> anyhow::Result<Attempt> {
        self.json("The attempt", self.client.get(self.at(&format!("/attempts/{id}")))).await
    }

    /// The best of a test, and the student's own place.
    pub(super) async fn leaderboard(&self, test: TestId) -> anyhow::Result<Leaderboard> {
        let path = format!("/leaderboard?test_id={test}&period=all&limit=5");
        self.json("The leaderboard", self.client.get(self.at(&path))).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn json<T: DeserializeOwned>(&self, what: &str, request: RequestBuilder) -> anyhow::Result<T> {
        let answer = self.send(what, request.timeout(ANSWER_TIMEOUT)).await?;
        answer.json().await.with_context(|| format!("{what}: the answer cannot be read"))
    }

    async fn send(&self, what: &str, mut request: RequestBuilder) -> anyhow::Result<Response> {
        if !self.authorization.is_empty() {
            request = request.header(AUTHORIZATION, &self.authorization);
        }
        let answer = request.send().await.map_err(|error| failed(what, error))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(what, answer).await) }
    }
}

fn failed(what: &str, error: reqwest::Error) -> anyhow::Error {
    let url = error.url().map(Url::to_string).unwrap_or_default();
    let error = anyhow::Error::new(error);
    let cause = error.root_cause();
    advised(
        format!("{what} failed: {url} gave no answer ({cause})."),
        "Is bellwork-api running at that address? scripts/run starts it.",
    )
}

async fn refused(what: &str, answer: Response) -> anyhow::Error {
    let (status, url) = (answer.status(), answer.url().clone());
    let problem: Problem = answer.json().await.unwrap_or_default();
    let sentence = format!("{what} was refused with {status}. {} {}", problem.title, problem.detail);
    let next = if status.is_server_error() {
        format!("The log of bellwork-api says more; {url} was asked for.")
    } else {
        format!("Is this Bellwork's API? {url} was asked for.")
    };
    advised(sentence.trim_end(), next)
}
