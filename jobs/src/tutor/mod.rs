//! The AI tutor: any server with OpenAI's chat-completions interface. It writes study aids, and it reports which key points
//! an answer meets, with a quote for each; the quotes are checked and the mark is computed here.

mod addressed;
pub(crate) mod ballot;
mod breaker;
mod call;
mod evidence;
pub(crate) mod excerpt;
pub(crate) mod fence;
pub(crate) mod live;
mod memory;
pub(crate) mod meter;
mod pace;
mod prose;
mod refusal;
pub(crate) mod reply;
mod request;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bellwork_shared::attempts::GradedBy;
use bellwork_shared::config::ai::{AiServer, DailyBudget, Price};
use bellwork_shared::telemetry::install_tls;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use tokio::time::Instant;
use url::Url;

use ballot::Ballot;
use breaker::{Breaker, Leave};
pub(crate) use call::Call;
use memory::Memory;
use meter::Meter;
use pace::Pace;
use reply::Verdict;
pub(crate) use request::LONGEST_VERDICT;

use crate::aids::plain::plain;
use crate::failure::Failure;
use crate::marker::{Essay, Marked, tally};

/// A server that is there takes a connection within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
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
    budget: DailyBudget,
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
        Ok(Self { client, url, server: server.clone(), breaker, pace, memory, budget: DailyBudget::default() })
    }

    /// The same, with budgets for study aids.
    #[must_use]
    pub fn within(self, budget: DailyBudget) -> Self {
        Self { budget, ..self }
    }

    /// Marks a written answer, or recalls how it was marked for this job before.
    ///
    /// # Errors
    /// If the server may not be called yet, cannot be reached, or does not answer as agreed.
    pub(crate) async fn mark(&self, essay: &Essay<'_>, meter: &mut Meter) -> Result<Marked, Failure> {
        if let Some(marked) = self.recall(essay) {
            return Ok(marked);
        }
        let ballot = Ballot::of(essay);
        let content = self.call(&request::call(&self.server.model, essay, &ballot), None, meter).await?;
        let verdict: Verdict = reply::parsed(&content).map_err(reply::broken)?;
        let marked = Marked { usage: meter.usage(), ..judged(essay, &ballot, &verdict) };
        self.memory.keep((essay.job, essay.question), marked.clone());
        Ok(marked)
    }

    /// How a written answer was marked for this job before.
    pub(crate) fn recall(&self, essay: &Essay<'_>) -> Option<Marked> {
        self.memory.recall((essay.job, essay.question))
    }

    /// The model that is asked.
    pub(crate) fn model(&self) -> &str {
        &self.server.model
    }

    /// What may be spent on study aids in a day.
    pub(crate) fn budget(&self) -> DailyBudget {
        self.budget
    }

    /// What the model costs.
    pub(crate) fn price(&self) -> Price {
        self.server.price
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
}

fn unreachable(error: reqwest::Error) -> Failure {
    let what = if error.is_timeout() { "did not answer in time" } else { "could not be reached" };
    Failure::retry(format!("the AI server {what}: {:#}", anyhow::Error::new(error.without_url())))
}

fn judged(essay: &Essay<'_>, ballot: &Ballot<'_>, verdict: &Verdict) -> Marked {
    let met = evidence::believed(essay, &ballot.read(&verdict.met));
    let all_believed = verdict.met.iter().all(|claim| ballot.find(claim).is_some_and(|point| met.contains(&point.id)));
    let said = excerpt::shortened(&verdict.comment, LONGEST_COMMENT);
    let said = plain("comment", &said, LONGEST_COMMENT + 1).unwrap_or_default();
    let own = Marked::new(essay.key, met, GradedBy::Ai);
    // A comment on findings of which some were not believed would contradict the mark.
    let comment =
        if all_believed && !said.is_empty() { format!("{} {said}", tally(essay.key, &own.met)) } else { own.comment };
    Marked { comment, ..own }
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
