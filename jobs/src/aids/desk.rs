//! Where commissions are written: each once, whoever asks for it, and paid once, unless it is about words of a student.

use std::time::Duration;

use bellwork_shared::ai::budget::Purpose;
use bellwork_shared::ai::results::{self, Kept, Lookup, ResultKey};
use bellwork_shared::ids::JobId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgPool;

use super::commission::{Commission, Correction, most_tokens};
use crate::books::{Account, Books};
use crate::context::Context;
use crate::failure::Failure;
use crate::marker::Usage;
use crate::tutor::live::Live;
use crate::tutor::{Tutor, reply};

/// How long a job waits for another that asks for the same.
const WAIT: Duration = Duration::from_secs(2);

/// A result, from the model or from memory.
#[derive(Debug)]
pub(crate) struct Written<R> {
    pub(crate) result: R,
    /// Who wrote it.
    pub(crate) model: String,
    /// What it cost this time.
    pub(crate) usage: Usage,
}

/// Reads what a model has said: its shape, then what `check` demands of it, in a sentence that goes on from "the answer".
type Check<R> = fn(R, &Commission<'_>) -> Result<R, String>;

/// Has the commission written, unless it was before. What is written about a student's own words may repeat them: it is
/// written anew for whoever asks, and kept nowhere but with them, to be erased with them.
///
/// # Errors
/// If the server cannot be asked now, answers badly twice, or somebody else is asking for the same.
pub(crate) async fn write<R: Serialize + DeserializeOwned>(
    context: &Context<'_>,
    tutor: &Tutor,
    commission: &Commission<'_>,
    check: Check<R>,
) -> Result<Written<R>, Failure> {
    let desk = Desk { context, tutor, commission, check };
    if commission.written.is_some() {
        return desk.write().await;
    }
    let (database, key) = (&context.platform.database, commission.key(tutor.model()));
    let found = results::find_or_claim(&mut *database.acquire().await?, &key, context.job).await?;
    metrics::counter!("bellwork_ai_cache_total", "outcome" => outcome(&found)).increment(1);
    match found {
        Lookup::Kept(Kept { result, model }) => {
            let result = serde_json::from_value(result)
                .map_err(|error| Failure::fatal(format!("a kept result cannot be read: {error}")))?;
            Ok(Written { result, model, usage: Usage::default() })
        }
        Lookup::SomebodyAsks => Err(Failure::Snooze(WAIT)),
        Lookup::Ours => {
            let claim = Claim { database: database.clone(), key, job: context.job, state: State::Held };
            let written = desk.write().await;
            claim.end(commission.kind, written).await
        }
    }
}

const fn outcome(found: &Lookup) -> &'static str {
    match found {
        Lookup::Kept(_) => "hit",
        Lookup::Ours => "miss",
        Lookup::SomebodyAsks => "wait",
    }
}

struct Desk<'a, R> {
    context: &'a Context<'a>,
    tutor: &'a Tutor,
    commission: &'a Commission<'a>,
    check: Check<R>,
}

impl<R: DeserializeOwned> Desk<'_, R> {
    /// A bad answer is sent back once with what is wrong with it.
    async fn write(&self) -> Result<Written<R>, Failure> {
        let mut usage = Usage::default();
        self.context.progress(0, "Thinking").await;
        let said = self.said(None, &mut usage).await?;
        let result = match self.checked(&said) {
            Ok(result) => result,
            Err(wrong) => {
                tracing::info!(wrong, "the model is asked to correct its answer");
                self.context.progress(0, "Writing it again").await;
                let correction = Correction { said: &said, wrong: &wrong };
                let said = self.said(Some(correction), &mut usage).await?;
                let bad = |wrong| Failure::fatal(format!("the AI server's answer, corrected once, still {wrong}"));
                self.checked(&said).map_err(bad)?
            }
        };
        Ok(Written { result, model: self.tutor.model().to_owned(), usage })
    }

    /// One call, paid for.
    async fn said(&self, correction: Option<Correction<'_>>, usage: &mut Usage) -> Result<String, Failure> {
        let call = self.commission.call(self.tutor.model(), self.context.job, correction);
        let mut entry = self.books().open(most_tokens(&call), self.commission.longest).await?;
        let mut live = Live::new(self.context, self.commission.readable, self.commission.usual);
        let said = self.tutor.call(&call, Some(&mut live), &mut entry.meter).await;
        *usage += entry.meter.usage();
        entry.close().await;
        live.finish().await;
        said
    }

    fn books(&self) -> Books {
        let (model, price, budget) = (self.tutor.model(), self.tutor.price(), self.tutor.budget());
        Books::new(self.context, Account { kind: self.commission.kind, purpose: Purpose::Aid, model, price, budget })
    }

    fn checked(&self, said: &str) -> Result<R, String> {
        (self.check)(reply::parsed(said)?, self.commission)
    }
}

/// The right to ask for a result; given back however the asking ends.
struct Claim {
    database: PgPool,
    key: ResultKey,
    job: JobId,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Held,
    Released,
}

impl Claim {
    /// Keeps what was written for all, in the transaction that gives the claim back.
    async fn end<R: Serialize>(
        mut self,
        kind: &str,
        written: Result<Written<R>, Failure>,
    ) -> Result<Written<R>, Failure> {
        let mut tx = self.database.begin().await?;
        if let Ok(Written { result, model, .. }) = &written {
            let result = serde_json::to_value(result).map_err(anyhow::Error::from)?;
            results::keep(&mut tx, &self.key, kind, &Kept { result, model: model.clone() }).await?;
        }
        results::release(&mut tx, &self.key, self.job).await?;
        tx.commit().await?;
        self.state = State::Released;
        written
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.state == State::Released {
            return;
        }
        let (database, key, job) = (self.database.clone(), self.key, self.job);
        runtime.spawn(async move {
            let released = async { results::release(&mut *database.acquire().await?, &key, job).await };
            if let Err(error) = released.await {
                tracing::warn!(%error, "a claim lapses later, or with the next run of its job");
            }
        });
    }
}
