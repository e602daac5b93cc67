//! Practice: a set of the caller's weakest questions.

use actix_web::{HttpRequest, web};
use bellwork_shared::question_bank::Filter;
use bellwork_shared::schemas::Whole;
use bellwork_shared::{ledger, practice, sittings};
use serde::Deserialize;
use utoipa::ToSchema;

use super::question_bank::NameFilter;
use super::sittings::{SittingSheet, closing, created};
use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::error::ApiError;
use crate::input::Body;
use crate::observe::trace_parent;
use crate::reply::Created;

/// What to practise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Only this subject.
    subject: Option<NameFilter>,
    /// Only this topic.
    topic: Option<NameFilter>,
    /// Only this difficulty.
    difficulty: Option<Whole<1, 3>>,
    /// How many questions; fewer if there are not that many.
    count: Whole<1, 50>,
}

/// `POST /api/practice`: first questions that the caller has not met, then those they know least. The set is answered like a
/// test, by `POST /api/attempts`, and never ranked.
pub(super) async fn begin(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    body: Body<Wish>,
) -> Result<Created<SittingSheet>, ApiError> {
    let count = body.value.count.get().into();
    let filter = Filter::from(body.value);
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

impl From<Wish> for Filter {
    fn from(wish: Wish) -> Self {
        Self {
            subject: wish.subject.and_then(NameFilter::written),
            topic: wish.topic.and_then(NameFilter::written),
            difficulty: wish.difficulty.map(|difficulty| difficulty.get().cast_signed()),
            ..Self::default()
        }
    }
}

/// Slugs are made of words.
fn title(filter: &Filter) -> String {
    let about = filter.topic.as_ref().or(filter.subject.as_ref());
    about.map_or_else(|| "Practice".to_owned(), |about| format!("Practice: {}", about.replace('-', " ")))
}
