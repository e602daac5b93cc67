//! The paper that answers belong to: which version of a test or which practice set, and in which sitting.

use std::sync::Arc;

use bellwork_shared::answers::{self, Answer, AnswerError, MAX_ANSWERS, RawAnswer, Trouble};
use bellwork_shared::catalogue::Sheet;
use bellwork_shared::ids::{QuestionId, SittingId, TestId};
use bellwork_shared::sittings;
use bellwork_shared::versions::{self, Taken};

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::error::ApiError;
use crate::input::Object;
use crate::problem::InputError;

/// How long a student who read a test before its next version was published may submit the version they read.
const SUPERSEDED_HOURS: i32 = 24;

/// What answers belong to.
pub(crate) struct Paper {
    /// The questions.
    pub(crate) sheet: Arc<Sheet>,
    /// The sitting; none: there is no time limit.
    pub(crate) sitting: Option<SittingId>,
}

impl Paper {
    /// The paper on which `caller` answers the questions `asked` of `test`.
    ///
    /// # Errors
    /// 404 if there is no such test or sitting, 409 if the test was not started or is over.
    pub(crate) async fn of(
        app: &App,
        caller: &SignedIn,
        test: TestId,
        sitting: Option<SittingId>,
        asked: &[QuestionId],
    ) -> Result<Self, ApiError> {
        if let Some(sitting) = sitting {
            return Self::in_sitting(app, caller, test, sitting).await;
        }
        let current = app.catalogue.current(test).await?;
        let open = current.is_some();
        if let Some(sheet) = current {
            let sheet = as_asked(app, sheet, asked).await?;
            if sheet.test.time_limit.is_none() {
                return Ok(Self { sheet, sitting: None });
            }
        }
        let mut conn = app.database.acquire().await?;
        if let Some(sitting) = sittings::live(&mut conn, caller.user.id, test).await? {
            drop(conn);
            return Self::in_sitting(app, caller, test, sitting).await;
        }
        if open {
            return Err(ApiError::SittingRequired);
        }
        match sittings::find(&mut conn, caller.user.id, SittingId(test.0)).await? {
            Some(_) => Err(ApiError::SittingOver),
            None => Err(ApiError::missing("/test_id", "There is no such test.")),
        }
    }

    /// The paper of one of the caller's sittings.
    async fn in_sitting(app: &App, caller: &SignedIn, test: TestId, id: SittingId) -> Result<Self, ApiError> {
        let sitting = sittings::find(&mut *app.database.acquire().await?, caller.user.id, id).await?;
        let sitting = sitting.filter(|sitting| sitting.test_id == test);
        let missing = || ApiError::missing("/sitting_id", "There is no such sitting of this test.");
        let sheet = app.catalogue.taken(sitting.ok_or_else(missing)?.taken()).await?.ok_or_else(missing)?;
        Ok(Self { sheet, sitting: Some(id) })
    }

    /// The answers, if they fit the questions.
    ///
    /// # Errors
    /// 422 with all that is wrong; 404 if that is only questions which are not asked there.
    pub(crate) fn parse(&self, answers: Vec<Object<RawAnswer>>) -> Result<Vec<Answer>, ApiError> {
        parse(answers, &self.sheet)
    }
}

/// The answers, if they fit the questions of `sheet`.
///
/// # Errors
/// 422 with all that is wrong; 404 if that is only questions which are not asked there.
pub(crate) fn parse(answers: Vec<Object<RawAnswer>>, sheet: &Sheet) -> Result<Vec<Answer>, ApiError> {
    if answers.len() > MAX_ANSWERS {
        return Err(ApiError::invalid("/answers", format!("More than {MAX_ANSWERS} answers are never asked for.")));
    }
    let raw = answers.into_iter().map(|Object(answer)| answer).collect();
    answers::parse(raw, &sheet.questions).map_err(|errors| {
        let unknown = errors.iter().all(|error| error.trouble == Trouble::Unknown);
        let within = |error: AnswerError| InputError::at(format!("/answers{}", error.pointer), error.detail);
        let errors = errors.into_iter().map(within).collect();
        if unknown { ApiError::Missing(errors) } else { ApiError::Invalid(errors) }
    })
}

/// The sheet that asks these questions: `current`, or the version that the student read before it.
async fn as_asked(app: &App, current: Arc<Sheet>, asked: &[QuestionId]) -> Result<Arc<Sheet>, ApiError> {
    let unknown = |id: &&QuestionId| !current.questions.iter().any(|question| question.id == **id);
    let Some(question) = asked.iter().find(unknown) else { return Ok(current) };
    let mut conn = app.database.acquire().await?;
    let version = versions::asking(&mut conn, current.test.id, *question, SUPERSEDED_HOURS).await?;
    drop(conn);
    let Some(version) = version else { return Ok(current) };
    let earlier = app.catalogue.taken(Taken::Version(current.test.id, version)).await?;
    Ok(earlier.unwrap_or(current))
}
