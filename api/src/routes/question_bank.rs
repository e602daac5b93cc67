//! The question bank, without answers to students.

use actix_web::web;
use bellwork_shared::api_tokens::scopes::Scope as ApiScope;
use bellwork_shared::cache::{Key, Scope};
use bellwork_shared::database::searching;
use bellwork_shared::practice_tests::QuestionKind;
use bellwork_shared::question_bank::{self, BankQuestion, BankTopic, Filter, Reader, Spot};
use bellwork_shared::reading;
use bellwork_shared::schemas::Text;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cached::{Audience, Cached, cached};
use crate::cursor::{self, Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::Query;
use crate::reply::Json;

const ROUTE: &str = "/api/question-bank";
/// The last page that an operator can jump to.
const MAX_PAGE: u32 = 10_000;
/// Bytes of a filter's digest in its cursors: enough to notice that it is another.
const MARK: usize = 8;

/// A subject or a topic; a blank one is none.
pub(super) type NameFilter = Text<0, 64>;
/// What is searched for.
type Words = Text<0, 200>;

/// Which questions, and which part of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// What the test is about, such as `mathematics`.
    #[param(inline)]
    subject: Option<NameFilter>,
    /// What the question is about, such as `linear-equations`.
    #[param(inline)]
    topic: Option<NameFilter>,
    /// From 1 (easy) to 3.
    #[param(minimum = 1, maximum = 3)]
    difficulty: Option<i16>,
    /// How it is asked and answered.
    #[param(inline)]
    kind: Option<QuestionKind>,
    /// Words, "phrases", `or` and `-`; the best come first.
    #[param(inline)]
    q: Option<Words>,
    /// How many at the most; 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where the last answer said that the list goes on; good for the same filters alone.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// For operators: this page, counted from 1, with a total.
    #[param(minimum = 1, maximum = 10_000)]
    page: Option<u32>,
    /// For operators: how many a page holds; the limit unless told.
    #[param(minimum = 1, maximum = 100)]
    per_page: Option<u32>,
}

/// A part of the bank.
#[derive(Serialize, ToSchema)]
pub(super) struct BankPart {
    items: Vec<BankQuestion>,
    /// Where it goes on; none at its end, and none beside a page.
    next_cursor: Option<String>,
    /// How many questions there are; with words 2,000 at the most. Beside a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
}

/// `GET /api/question-bank`
pub(super) async fn search(
    app: web::Data<App>,
    caller: SignedIn,
    query: Query<Search>,
) -> Result<Cached<BankPart>, ApiError> {
    let mut search = query.0;
    let filter = search.filter()?;
    let reader = if caller.operates(ApiScope::AdminRead) { Reader::Operator } else { Reader::Student };
    match (search.page, search.per_page) {
        (None, None) => listed(&app, filter, reader, search.limit, search.cursor).await,
        _ if reader == Reader::Student => Err(ApiError::Forbidden("Pages are for operators; use limit and cursor.")),
        _ if search.cursor.is_some() => Err(ApiError::missing("/cursor", "A page has no cursor.")),
        (page, per_page) => paged(&app, &filter, page.unwrap_or(1), per_page.or(search.limit)).await,
    }
}

impl Search {
    fn filter(&mut self) -> Result<Filter, ApiError> {
        Ok(Filter {
            subject: self.subject.take().and_then(NameFilter::written),
            topic: self.topic.take().and_then(NameFilter::written),
            difficulty: check_difficulty(self.difficulty)?,
            kind: self.kind,
            words: self.q.take().and_then(Words::written),
        })
    }
}

/// How hard questions are.
///
/// # Errors
/// 422 if they cannot be.
fn check_difficulty(difficulty: Option<i16>) -> Result<Option<i16>, ApiError> {
    match difficulty {
        Some(difficulty) if !(1..=3).contains(&difficulty) => {
            Err(ApiError::invalid("/difficulty", "The difficulty is between 1 and 3."))
        }
        difficulty => Ok(difficulty),
    }
}

async fn listed(
    app: &web::Data<App>,
    filter: Filter,
    reader: Reader,
    limit: Option<u32>,
    cursor: Option<String>,
) -> Result<Cached<BankPart>, ApiError> {
    let page = Page { limit, cursor };
    let limit = page.limit()?;
    let position = Cursors::of(app, ROUTE).await?.position::<(String, Spot)>(&page)?;
    let mark = mark(&filter);
    let after = match position {
        Some((other, _)) if other != mark => {
            return Err(ApiError::missing("/cursor", "This cursor belongs to other filters; start without one."));
        }
        position => position.map(|(_, spot)| spot),
    };
    let is_common = filter.words.is_none() && after.is_none() && limit == i64::from(cursor::DEFAULT_LIMIT);
    let name = format!("{filter:?}").into();
    let source = app.clone();
    let load = async move || {
        let mut conn = source.database.acquire().await?;
        let mut tx = searching(&mut conn).await?;
        let questions = question_bank::search(&mut tx, &filter, reader, after, limit + 1).await?;
        tx.commit().await?;
        drop(conn);
        let spot = |question: &BankQuestion| (mark.clone(), Spot { rank: question.rank, id: question.id });
        let Listed { items, next_cursor } = Cursors::of(&source, ROUTE).await?.listed(questions, limit, spot);
        Ok(Some(BankPart { items, next_cursor, total: None }))
    };
    // What operators see holds the answers: it is never kept. Nor is what hardly anybody else asks for, or a client that
    // invents searches would fill Redis.
    match reader {
        Reader::Student if is_common => {
            cached(&app.caches, Key { scope: Scope::QuestionBank, name }, Audience::Caller, load).await
        }
        Reader::Student | Reader::Operator => Cached::once(load().await?, Audience::Caller),
    }
}

/// What tells one filter from another.
fn mark(filter: &Filter) -> String {
    let digest = Sha256::digest(format!("{filter:?}"));
    digest[..MARK].iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn paged(app: &App, filter: &Filter, page: u32, per_page: Option<u32>) -> Result<Cached<BankPart>, ApiError> {
    if !(1..=MAX_PAGE).contains(&page) {
        return Err(ApiError::invalid("/page", format!("The page is between 1 and {MAX_PAGE}.")));
    }
    let per_page = cursor::limit(per_page)
        .map_err(|_| ApiError::invalid("/per_page", "A page holds between 1 and 100 questions."))?;
    let mut conn = app.database.acquire().await?;
    let skipped = i64::from(page - 1) * per_page;
    let mut tx = searching(&mut conn).await?;
    let items = question_bank::jump(&mut tx, filter, Reader::Operator, skipped, per_page).await?;
    let total = question_bank::total(&mut tx, filter).await?;
    tx.commit().await?;
    Cached::once(Some(BankPart { items, next_cursor: None, total: Some(total) }), Audience::Caller)
}

/// Which topics.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichTopics {
    /// Only this subject.
    #[param(inline)]
    subject: Option<NameFilter>,
    /// How many at the most; 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where the last answer said that the list goes on.
    #[param(format = "cursor")]
    cursor: Option<String>,
}

/// `GET /api/question-bank/topics`, by subject and topic
pub(super) async fn topics(
    app: web::Data<App>,
    query: Query<WhichTopics>,
) -> Result<Json<Listed<BankTopic>>, ApiError> {
    let WhichTopics { subject, limit, cursor } = query.0;
    let (subject, page) = (subject.and_then(NameFilter::written), Page { limit, cursor });
    let limit = page.limit()?;
    let cursors = Cursors::of(&app, "/api/question-bank/topics").await?;
    let after: Option<(String, String)> = cursors.position(&page)?;
    let list =
        async |conn: &mut PgConnection| question_bank::topics(conn, subject.as_deref(), after.clone(), limit + 1).await;
    let topics = app.read(reading::Reader::Anyone, list).await?;
    Ok(Json(cursors.listed(topics, limit, |topic| (topic.subject.clone(), topic.topic.clone()))))
}
