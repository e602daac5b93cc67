//! What becomes of a study aid when its job ends.

use bellwork_shared::ai::aids::{self, AidMaker, Made, Marked};
use bellwork_shared::ai::forms::{Aid, AidKind};
use bellwork_shared::ids::{AidId, UserId};
use serde_json::json;

use super::desk::Written;
use crate::kinds::notify_user::NotifyUser;
use crate::marker::Usage;
use crate::recording::Recording;

/// What a run has made for whom.
#[derive(Debug)]
pub struct Finished<R> {
    user: UserId,
    made: Made<R>,
    usage: Usage,
}

impl<R> Finished<R> {
    /// By a model.
    pub(crate) fn written(user: UserId, written: Written<R>) -> Self {
        let made = Made { result: written.result, made_by: AidMaker::Ai, model: Some(written.model) };
        Self { user, made, usage: written.usage }
    }

    /// By our own rules.
    pub(crate) fn by_rules(user: UserId, result: R) -> Self {
        Self { user, made: Made { result, made_by: AidMaker::Rules, model: None }, usage: Usage::default() }
    }
}

/// Stores the result and tells the student. Nothing, if the aid has vanished.
///
/// # Errors
/// If the database fails.
pub(crate) async fn record<A: Aid>(
    id: AidId,
    finished: Option<Finished<A::Result>>,
    recording: &mut Recording<'_>,
) -> anyhow::Result<()> {
    let Some(Finished { user, made, usage }) = finished else {
        tracing::warn!(aid = %id, "the study aid to be made, or what it is about, has vanished");
        aids::mark_failed(recording.transaction_for_submitter().await?, id).await?;
        return Ok(());
    };
    if aids::mark_ready(recording.transaction_for_submitter().await?, id, &made).await? == Marked::NotAnyMore {
        tracing::warn!(aid = %id, "the study aid has vanished, or has a result already");
        return Ok(());
    }
    let mut result = aids::job_result(id, &made)?;
    if usage.requests > 0 {
        result["usage"] = serde_json::to_value(usage)?;
    }
    recording.result(result);
    recording.submit(&NotifyUser {
        user_id: user,
        kind: "study_aid_ready".to_owned(),
        title: ready(A::KIND).to_owned(),
        body: "You find it among your study aids.".to_owned(),
        data: json!({ "aid_id": id, "aid_kind": A::KIND }),
    });
    Ok(())
}

/// Shows the aid as failed and tells the student.
///
/// # Errors
/// If the database fails.
pub(crate) async fn bury<A: Aid>(id: AidId, recording: &mut Recording<'_>) -> anyhow::Result<()> {
    let conn = recording.transaction_for_submitter().await?;
    let Some((user_id, _)) = aids::asked::<A>(conn, id).await? else { return Ok(()) };
    if aids::mark_failed(conn, id).await? == Marked::Now {
        recording.submit(&NotifyUser {
            user_id,
            kind: "study_aid_failed".to_owned(),
            title: failed(A::KIND).to_owned(),
            body: "We look into it. You can also ask for it again.".to_owned(),
            data: json!({ "aid_id": id, "aid_kind": A::KIND }),
        });
    }
    Ok(())
}

const fn ready(kind: AidKind) -> &'static str {
    match kind {
        AidKind::Explanation => "Your explanation is ready",
        AidKind::StudyPlan => "Your study plan is ready",
        AidKind::Flashcards => "Your flashcards are ready",
    }
}

const fn failed(kind: AidKind) -> &'static str {
    match kind {
        AidKind::Explanation => "Your explanation could not be made",
        AidKind::StudyPlan => "Your study plan could not be made",
        AidKind::Flashcards => "Your flashcards could not be made",
    }
}
