//! The AI tutor: any server with OpenAI's chat-completions interface. It reports which key points an answer meets, with
//! a quote for each; the quotes are checked and the mark is computed here.

mod breaker;
mod evidence;
mod excerpt;
mod memory;
mod pace;
mod refusal;
mod reply;
mod request;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bellwork_shared::attempts::GradedBy;
use bellwork_shared::config::ai::AiServer;
use bellwork_shared::telemetry::install_tls;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::time::Instant;
use url::Url;

use breaker::{Breaker, Leave};
use memory::Memory;
use pace::Pace;
use reply::Reply;

use crate::failure::Failure;
use crate::marker::{Essay, Marked, tally};

/// A server that is there takes a connection within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A longer answer is a mistake, or an attack.
const LONGEST_BODY: usize = 1024 * 1024;
/// Of the model's comment.
const LONGEST_COMMENT: usize = 600;
/// A run that may not call yet keeps its place this long before it is put off: so a closed door turns away a few jobs
/// a second, and not the whole queue as fast as it can be claimed.
const PATIENCE: Duration = Duration::from_secs(3);

/// A chat-completions server.
#[derive(Debug)]
pub struct Tutor {
    client: Client,
    url: Url,
    server: AiServer,
    breaker: Breaker,
    pace: Pace,
    memory: Memory,
}

impl Tutor {
    /// The tutor at `server`; nothing is sent yet.
    ///
    /// # Errors
    /// If the key or the address cannot be used; the sentence names the variable.
    pub fn new(server: &AiServer) -> anyhow::Result<Self> {
        install_tls();
        let client = Client::builder()
            .user_agent(concat!("bellwork/", env!("CARGO_PKG_VERSION")))
            .default_headers(authorization(server)?)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(server.timeout)
            .redirect(Policy::none())
            .build()
            .context("AI_BASE_URL cannot be used: the HTTP client could not be built")?;
        let (breaker, pace) = (Breaker::default(), Pace::new(server.requests_per_minute));
        let (url, memory) = (completions(&server.base_url)?, Memory::default());
        Ok(Self { client, url, server: server.clone(), breaker, pace, memory })
    }

    /// Marks a written answer, or recalls how it was marked for this job before.
    ///
    /// # Errors
    /// If the server may not be called yet, cannot be reached, or does not answer as agreed.
    pub async fn mark(&self, essay: &Essay<'_>) -> Result<Marked, Failure> {
        let subject = (essay.job, essay.question);
        if let Some(marked) = self.memory.recall(subject) {
            return Ok(marked);
        }
        let marked = judged(essay, &self.ask(essay).await?);
        self.memory.keep(subject, marked.clone());
        Ok(marked)
    }

    async fn ask(&self, essay: &Essay<'_>) -> Result<Reply, Failure> {
        let leave = self.admitted().await?;
        let answered = self.answered(essay).await;
        match &answered {
            Ok(answer) if !answer.status.is_server_error() => leave.succeeded(),
            _ => leave.failed(Instant::now()),
        }
        let Answer { status, headers, body } = answered?;
        if status.is_success() {
            return reply::read(&body);
        }
        Err(refusal::failure(status, &headers, &body, self.server.api_key.as_deref()))
    }

    async fn admitted(&self) -> Result<Leave<'_>, Failure> {
        match self.leave(Instant::now()) {
            Ok(leave) => Ok(leave),
            Err(wait) => {
                tokio::time::sleep(wait.min(PATIENCE)).await;
                self.leave(Instant::now()).map_err(Failure::Snooze)
            }
        }
    }

    fn leave(&self, now: Instant) -> Result<Leave<'_>, Duration> {
        let leave = self.breaker.leave(now)?;
        self.pace.take(now)?;
        Ok(leave)
    }

    async fn answered(&self, essay: &Essay<'_>) -> Result<Answer, Failure> {
        let response = self
            .client
            .post(self.url.clone())
            .header("Idempotency-Key", format!("{}-{}", essay.job, essay.question))
            .json(&request::body(&self.server.model, essay))
            .send()
            .await
            .map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: body(response).await? })
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(Failure::retry("the AI server's answer is longer than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unreachable(error: reqwest::Error) -> Failure {
    let what = if error.is_timeout() { "did not answer in time" } else { "could not be reached" };
    Failure::retry(format!("the AI server {what}: {:#}", anyhow::Error::new(error.without_url())))
}

fn judged(essay: &Essay<'_>, reply: &Reply) -> Marked {
    let met = evidence::believed(essay, &reply.verdict.met);
    let all_believed = reply.verdict.met.iter().all(|claim| met.contains(&claim.key_point));
    let said = excerpt::shortened(&reply.verdict.comment, LONGEST_COMMENT);
    let own = Marked::new(essay.key, met, GradedBy::Ai);
    // A comment on findings of which some were not believed would contradict the mark.
    let comment =
        if all_believed && !said.is_empty() { format!("{} {said}", tally(essay.key, &own.met)) } else { own.comment };
    Marked { comment, usage: reply.usage, ..own }
}

fn authorization(server: &AiServer) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(key) = &server.api_key {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| anyhow!("AI_API_KEY cannot be used: it holds characters that no HTTP header may hold."))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn completions(base: &Url) -> anyhow::Result<Url> {
    let mut url = base.clone();
    let mut segments = url.path_segments_mut().map_err(|()| anyhow!("AI_BASE_URL cannot be used: it has no path."))?;
    segments.pop_if_empty().extend(["chat", "completions"]);
    drop(segments);
    Ok(url)
}
