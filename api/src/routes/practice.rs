//! Practice: a set of the caller's weakest questions.

use actix_web::{HttpRequest, web};
use bellwork_shared::question_bank::Filter;
use bellwork_shared::schemas::{read_optional_whole, read_whole};
use bellwork_shared::{ledger, practice, sittings};
use serde::Deserialize;
use utoipa::ToSchema;

use super::question_bank::{check_difficulty, check_name};
use super::sittings::{SittingSheet, closing, created};
use crate::app::App;
use crate::auth::SignedIn;
use crate::error::ApiError;
use crate::input::Body;
use crate::observe::trace_parent;
use crate::reply::Created;

/// The most questions in a set.
const MAX_COUNT: u8 = 50;

/// What to practise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Only this subject.
    #[schema(max_length = 64, pattern = "^[^\\u0000]*$")]
    subject: Option<String>,
    /// Only this topic.
    #[schema(max_length = 64, pattern = "^[^\\u0000]*$")]
    topic: Option<String>,
    /// Only this difficulty.
    #[serde(default, deserialize_with = "read_optional_whole")]
    #[schema(minimum = 1, maximum = 3)]
    difficulty: Option<i16>,
    /// How many questions; fewer if there are not that many.
    #[serde(deserialize_with = "read_whole")]
    #[schema(minimum = 1, maximum = 50)]
    count: u8,
}

/// `POST /api/practice`: first questions that the caller has not met, then those they know least. The set is answered like a
/// test, by `POST /api/attempts`, and never ranked.
pub(super) async fn begin(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    body: Body<Wish>,
) -> Result<Created<SittingSheet>, ApiError> {
    let (filter, count) = parse(body.value)?;
    let user = caller.user.id;
    let mut tx = app.database.begin().await?;
    let questions = practice::choose(&mut tx, user, &filter, count).await?;
    if questions.is_empty() {
        return Err(ApiError::missing("", "There are no such questions to practise with."));
    }
    let id = practice::start(&mut tx, user, &title(&filter), &questions).await?;
    let jobs = [closing(&mut tx, user, id, &trace_parent(&request)).await?];
    ledger::insert(&mut tx, &jobs).await?;
    let sitting = sittings::find(&mut tx, user, id).await?.ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    app.push(&jobs).await;
    created(&app, sitting).await
}

fn parse(wish: Wish) -> Result<(Filter, usize), ApiError> {
    if !(1..=MAX_COUNT).contains(&wish.count) {
        return Err(ApiError::invalid("/count", format!("The count is between 1 and {MAX_COUNT}.")));
    }
    let filter = Filter {
        subject: check_name("/subject", wish.subject)?,
        topic: check_name("/topic", wish.topic)?,
        difficulty: check_difficulty(wish.difficulty)?,
        ..Filter::default()
    };
    Ok((filter, wish.count.into()))
}

/// Slugs are made of words.
fn title(filter: &Filter) -> String {
    let about = filter.topic.as_ref().or(filter.subject.as_ref());
    about.map_or_else(|| "Practice".to_owned(), |about| format!("Practice: {}", about.replace('-', " ")))
}
