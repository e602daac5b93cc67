//! Quarantine: takes back the jobs of dead processes, lets in what waited for this version, and closes what the engine has
//! given up: jobs that have killed too many processes, or are past their deadline.

use bellwork_jobs::kinds;
use bellwork_queue::{DEATHS_ALLOWED, DeadLetter, Engine, Inspector, Poison, UPKEEP_EVERY, Upkeep};
use bellwork_shared::ids::JobId;
use tracing::{error, warn};

use crate::executor::Executor;

/// Looks after `queue` for ever.
///
/// # Errors
/// If its name cannot be used.
pub async fn run(engine: Engine, queue: &'static str, executor: Executor) -> Result<(), bellwork_queue::Error> {
    let mut upkeep = Upkeep::new(&engine, queue)?.reading(kinds::readable());
    let inspector = engine.inspector();
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = keep_up(&mut upkeep).await {
            warn!(%error, queue, "no upkeep");
        }
        match upkeep.dead_letters().await {
            Ok(letters) => {
                for letter in letters {
                    close(&letter, queue, &inspector, &executor).await;
                }
            }
            Err(error) => warn!(%error, queue, "the dead letters could not be read"),
        }
    }
}

async fn keep_up(upkeep: &mut Upkeep) -> Result<(), bellwork_queue::Error> {
    upkeep.recover().await?;
    upkeep.readmit().await?;
    upkeep.forget_expired().await?;
    Ok(())
}

/// Closes the ledger row first: if this process dies in between, the letter is found again.
async fn close(letter: &DeadLetter, queue: &str, inspector: &Inspector, executor: &Executor) {
    let evidence = evidence(letter);
    error!(job = %letter.id, queue, evidence, "quarantined");
    if let Err(error) = executor.bury_poison(JobId(letter.id), &letter.payload, &evidence).await {
        warn!(error = format!("{error:#}"), job = %letter.id, "not closed yet");
        return;
    }
    if let Err(error) = inspector.remove(queue, letter.id).await {
        warn!(%error, job = %letter.id, "closed, but still among the dead letters");
    }
}

/// The evidence as a sentence for an operator.
fn evidence(letter: &DeadLetter) -> String {
    if letter.is_expired() {
        return "expired: its deadline had passed before a worker was free".to_owned();
    }
    let Ok(Poison { deaths, process, ran_on, progress }) = serde_json::from_str(&letter.evidence) else {
        return letter.evidence.clone();
    };
    let ran_on = ran_on.unwrap_or_else(|| "unknown".to_owned());
    let progress = progress.map(|progress| format!("; its last progress was {progress}")).unwrap_or_default();
    format!(
        "poison: {deaths} of {DEATHS_ALLOWED} processes allowed died while they ran it, the last was {process} \
         ({ran_on}){progress}"
    )
}
