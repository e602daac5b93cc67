//! The books on calls to AI servers: each is paid for in advance within the budgets, and settled once, however it ends.

use std::time::Duration;

use bellwork_shared::ai::budget::{self, NewCall, Purpose, Reservation, Reserving, Spent};
use bellwork_shared::config::ai::{DailyBudget, Price};
use bellwork_shared::ids::{JobId, UserId};
use chrono::Utc;
use sqlx::PgPool;

use crate::context::Context;
use crate::failure::Failure;
use crate::marker::Usage;
use crate::tutor::meter::Meter;

/// Calls under way may cost less than was reserved for them: look again soon.
const OCCUPIED: Duration = Duration::from_secs(2);
/// Jobs that waited for a new day's budget do not all come at midnight.
const MORNING: Duration = Duration::from_secs(600);
/// How often a failed settlement is tried; after that the next run of the job settles it.
const SETTLEMENTS: u32 = 3;

/// The books of one job.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    database: PgPool,
    job: JobId,
    user: Option<UserId>,
    purpose: Purpose,
    kind: &'static str,
    model: String,
    price: Price,
    budget: DailyBudget,
}

/// What a job's calls are about, for the books.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    /// The stored name of the job's kind.
    pub(crate) kind: &'static str,
    /// Which budgets bind them.
    pub(crate) purpose: Purpose,
    /// The model.
    pub(crate) model: &'a str,
    /// What it costs.
    pub(crate) price: Price,
    /// What may be spent.
    pub(crate) budget: DailyBudget,
}

impl Books {
    pub(crate) fn new(context: &Context<'_>, account: Account<'_>) -> Self {
        Self {
            database: context.platform.database.clone(),
            job: context.job,
            user: context.submitter,
            purpose: account.purpose,
            kind: account.kind,
            model: account.model.to_owned(),
            price: account.price,
            budget: account.budget,
        }
    }

    /// Reserves the price of a call of at most these tokens. Calls of this job whose process died are settled first.
    ///
    /// # Errors
    /// To be tried again when the budget has room; or if the database fails.
    pub(crate) async fn open(&self, prompt_tokens: u64, completion_tokens: u64) -> Result<Entry, Failure> {
        self.settle_lost().await?;
        let highest_micros = self.price.of(prompt_tokens, completion_tokens);
        let (job, user, purpose, model) = (self.job, self.user, self.purpose, self.model.as_str());
        let mut tx = self.database.begin().await?;
        let call = NewCall { job, user, purpose, model, highest_micros };
        let reserving = budget::reserve(&mut tx, self.budget, &call).await?;
        if let Reserving::Reserved(reservation) = reserving {
            tx.commit().await?;
            return Ok(Entry { books: self.clone(), reservation: Some(reservation), meter: Meter::default() });
        }
        // Now: others wait for the rows.
        tx.rollback().await?;
        match reserving {
            Reserving::Reserved(_) | Reserving::Occupied => Err(Failure::Snooze(OCCUPIED)),
            Reserving::Spent => Err(Failure::Snooze(until_tomorrow())),
            Reserving::TooDear(variable) => Err(Failure::fatal(format!(
                "one call may cost {highest_micros} millionths, which is more than {variable} allows for a day"
            ))),
        }
    }

    async fn settle_lost(&self) -> Result<(), Failure> {
        let lost = budget::lost(&mut *self.database.acquire().await?, self.job).await?;
        for (reservation, spent) in lost {
            self.settle(reservation, spent).await?;
        }
        Ok(())
    }

    async fn settle(&self, reservation: Reservation, spent: Spent) -> sqlx::Result<()> {
        let mut tx = self.database.begin().await?;
        budget::settle(&mut tx, reservation, spent).await?;
        tx.commit().await
    }

    async fn close(self, reservation: Reservation, used: Usage) {
        for (direction, tokens) in [("prompt", used.prompt_tokens), ("completion", used.completion_tokens)] {
            let labels = [("kind", self.kind), ("direction", direction)];
            metrics::counter!("bellwork_ai_tokens_total", &labels).increment(tokens);
        }
        let cost_micros = self.price.of(used.prompt_tokens, used.completion_tokens);
        let Usage { prompt_tokens, completion_tokens, requests } = used;
        let spent = Spent { requests, prompt_tokens, completion_tokens, cost_micros };
        for attempt in 1..=SETTLEMENTS {
            match self.settle(reservation, spent).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, attempt, job = %self.job, "a call's usage was not written"),
            }
        }
        tracing::error!(job = %self.job, ?spent, "a call will be counted at its highest price, if the job runs again");
    }
}

fn until_tomorrow() -> Duration {
    let now = Utc::now();
    let midnight = (budget::next_day(now) - now).to_std().unwrap_or_default();
    midnight + MORNING.mul_f64(rand::random())
}

/// A call that is paid for. Whoever makes it reads the meter; a call that is given up halfway is settled all the same.
#[derive(Debug)]
pub(crate) struct Entry {
    books: Books,
    reservation: Option<Reservation>,
    pub(crate) meter: Meter,
}

impl Entry {
    /// Settles the call.
    pub(crate) async fn close(mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.books.clone().close(reservation, self.meter.usage()).await;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(self.books.clone().close(reservation, self.meter.usage()));
        }
    }
}
