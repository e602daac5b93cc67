//! `bellwork jobs …`

mod cancel;
mod enqueue;
mod list;
mod many;
mod retry;
mod show;

use bellwork_jobs::steering::Refusal;
use bellwork_queue::{Inspector, JobView, Place, Priority};
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{JobRow, JobState};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::advice::advised;
use crate::screen::{Screen, Tone};

/// See and steer jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List jobs, the newest first.
    List(list::List),
    /// Show all about a job: its payload, its failures, and where it is now.
    Show(show::Show),
    /// Let dead or cancelled jobs run again, with their attempts at zero.
    Retry(retry::Retry),
    /// Let jobs not run, or not leave anything behind.
    Cancel(cancel::Cancel),
    /// Submit a job by hand.
    Enqueue(enqueue::Enqueue),
}

impl Jobs {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run(screen).await,
            Self::Show(command) => command.run(screen).await,
            Self::Retry(command) => command.run(screen).await,
            Self::Cancel(command) => command.run(screen).await,
            Self::Enqueue(command) => command.run(screen).await,
        }
    }
}

/// Why a job was not changed, with what to do next.
fn refused(refusal: Refusal) -> anyhow::Error {
    let advice = match &refusal {
        Refusal::Unknown(_) => "`bellwork jobs list` lists jobs; old ones that ended are dropped from the ledger.",
        Refusal::NotGivenUp(_) => "`bellwork jobs list --state dead` lists the dead ones.",
        Refusal::Ended => "`bellwork jobs show` shows how it ended.",
        Refusal::Running => "Try again when it has ended.",
        Refusal::Unreadable(_) => "Use the bellwork of the release that the workers run.",
        Refusal::Database(_) | Refusal::Queue(_) => {
            return anyhow::Error::new(refusal).context("the job was not changed");
        }
    };
    advised(format!("{refusal} Nothing was changed."), advice)
}

/// There is no such job.
fn not_found(id: JobId) -> anyhow::Error {
    advised(
        format!("There is no job {id}."),
        "`bellwork jobs list` lists jobs; old ones that ended are dropped from the ledger.",
    )
}

/// What Redis knows of an unfinished job. The row's state becomes running if a process has it.
async fn explain(row: &mut JobRow, inspector: &Inspector) -> Result<Option<JobView>, bellwork_queue::Error> {
    if row.finished_at.is_some() {
        return Ok(None);
    }
    let job = inspector.explain(&row.queue, row.id.0).await?;
    if job.as_ref().is_some_and(|job| job.place == Place::Leased) {
        row.state = JobState::Running;
    }
    Ok(job)
}

fn priority_name(rank: i16) -> &'static str {
    Priority::try_from(rank).unwrap_or_default().name()
}

/// The job for programs: its row, with the priority's name.
fn as_json(row: &JobRow) -> Value {
    let mut job = json!(row);
    job["priority"] = priority_name(row.priority).into();
    job
}

/// All states, in the order of a job's life.
const STATES: [JobState; 7] = [
    JobState::Scheduled,
    JobState::Ready,
    JobState::Running,
    JobState::Retrying,
    JobState::Done,
    JobState::Dead,
    JobState::Cancelled,
];

fn state_tone(state: JobState) -> Tone {
    match state {
        JobState::Scheduled | JobState::Ready => Tone::Plain,
        JobState::Running | JobState::Done => Tone::Good,
        JobState::Retrying => Tone::Caution,
        JobState::Dead => Tone::Bad,
        JobState::Cancelled => Tone::Faint,
    }
}

/// Reads the name of a state, for clap.
fn parse_state(name: &str) -> Result<JobState, String> {
    STATES.into_iter().find(|state| state.name() == name).ok_or_else(|| {
        let known: Vec<_> = STATES.into_iter().map(JobState::name).collect();
        format!("it must be one of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_names_of_the_api() {
        for state in STATES {
            assert_eq!(json!(state), state.name());
            assert_eq!(parse_state(state.name()), Ok(state));
        }
        assert!(parse_state("failed").unwrap_err().contains("retrying"));
    }
}
