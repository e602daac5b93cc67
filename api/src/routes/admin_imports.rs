//! Files of questions, handed in to become tests; and tests as such files.

use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use bellwork_jobs::kinds::import_content::ImportContent;
use bellwork_jobs::submit::{Options, new_job};
use bellwork_shared::content::TestFile;
use bellwork_shared::formats::{self, Format, Label, Problem, Severity, Written};
use bellwork_shared::ids::{ImportId, JobId, TestId};
use bellwork_shared::imports::{self, Import, ImportState, NewImport, OnExisting, ReportRow, Request};
use bellwork_shared::{ledger, test_files};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Cursors, Listed, Page};
use crate::describe::{Answers, Description};
use crate::error::ApiError;
use crate::input::{Id, Query};
use crate::observe::trace_parent;
use crate::problem::InputError;
use crate::reply::{Accepted, Json};
use crate::upload::Upload;

/// How much of a file got lost on its way out.
const LOST: HeaderName = HeaderName::from_static("x-bellwork-lost");
/// How much of it reads otherwise.
const CHANGED: HeaderName = HeaderName::from_static("x-bellwork-changed");
/// The longest title and file name, in characters.
const MAX_NAME: usize = 200;
/// A report has fewer rows: `formats` lists no more problems.
const WHOLE_REPORT: i64 = 10_000;

/// What is said of a file that is handed in.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct HandIn {
    /// The file's format; else its name, its type and its beginning tell.
    #[param(schema_with = format_names)]
    format: Option<String>,
    /// What the test is to be called; else the file or its name tells.
    #[param(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1F\x7F-\x9F]+$")]
    title: Option<String>,
    /// What the test is about, such as biology.
    #[param(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1F\x7F-\x9F]*[0-9A-Za-z][^\x00-\x1F\x7F-\x9F]*$")]
    subject: Option<String>,
    /// The file's name.
    #[param(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1F\x7F-\x9F]+$")]
    filename: Option<String>,
    /// Read and report, and store nothing.
    dry_run: Option<bool>,
    /// What to do if the test exists with other content; `refuse` unless told.
    #[param(inline)]
    on_existing: Option<OnExisting>,
}

/// A file that waits to be read.
#[derive(Serialize, ToSchema)]
pub(super) struct HandedIn {
    id: ImportId,
    state: ImportState,
    job_id: JobId,
}

/// `POST /api/admin/imports`: what is answered with 202 is stored with its job; the job reads it.
pub(super) async fn hand_in(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    query: Query<HandIn>,
    file: Upload,
) -> Result<Accepted<HandedIn>, ApiError> {
    let asked = query.0.check(&file)?;
    let id = ImportId::new();
    let submitter = caller.user.id;
    let trace_parent = Some(trace_parent(&request));
    let options = Options { submitter: Some(submitter), trace_parent, ..Options::default() };
    let job = new_job(&ImportContent { import_id: id }, options);

    let mut tx = app.database.begin().await?;
    let new = NewImport { id, submitter, job: job.id, request: asked, file: &file.bytes };
    imports::insert(&mut tx, &new).await?;
    ledger::insert(&mut tx, std::slice::from_ref(&job)).await?;
    tx.commit().await?;

    app.push(std::slice::from_ref(&job)).await;
    let body = HandedIn { id, state: ImportState::Queued, job_id: job.id };
    Ok(Accepted { location: format!("/api/admin/imports/{id}"), body })
}

/// `GET /api/admin/imports`, the newest first
pub(super) async fn list(app: web::Data<App>, page: Query<Page>) -> Result<Json<Listed<Import>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/admin/imports").await?;
    let before: Option<ImportId> = cursors.position(&page.0)?;
    let imports = imports::list(&mut *app.database.acquire().await?, before, limit + 1).await?;
    Ok(Json(cursors.listed(imports, limit, |import| import.id)))
}

/// `GET /api/admin/imports/{id}`
pub(super) async fn show(app: web::Data<App>, id: Id<ImportId>) -> Result<Json<Import>, ApiError> {
    let import = imports::find(&mut *app.database.acquire().await?, id.0).await?;
    import.map(Json).ok_or(ApiError::NotFound)
}

/// `GET /api/admin/imports/{id}/report`, in the order of the file; whole, if CSV is asked for
pub(super) async fn report(
    app: web::Data<App>,
    request: HttpRequest,
    id: Id<ImportId>,
    page: Query<Page>,
) -> Result<Report, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/admin/imports/{id}/report").await?;
    let after: Option<(ImportId, i32)> = cursors.position(&page.0)?;
    let mut conn = app.database.acquire().await?;
    imports::find(&mut conn, id.0).await?.ok_or(ApiError::NotFound)?;
    if wants_csv(&request) {
        let rows = imports::report(&mut conn, id.0, 0, WHOLE_REPORT).await?;
        return Ok(Report::Csv(formats::report_as_csv(&rows)));
    }
    let after = match after {
        Some((import, _)) if import != id.0 => {
            return Err(ApiError::missing("/cursor", "This report has no such place; start without a cursor."));
        }
        after => after.map_or(0, |(_, row)| row),
    };
    let rows = imports::report(&mut conn, id.0, after, limit + 1).await?;
    Ok(Report::Page(cursors.listed(rows, limit, |row| (id.0, row.row))))
}

/// Which file is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    /// The file's format; `json` holds all of a test.
    #[param(schema_with = format_names)]
    format: Option<String>,
    /// Instead of the file, what it does not hold of the test.
    report: Option<bool>,
}

/// `GET /api/admin/tests/{id}/export`
pub(super) async fn export(app: web::Data<App>, id: Id<TestId>, query: Query<Export>) -> Result<Exported, ApiError> {
    let format = match query.0.format.as_deref() {
        None => &formats::ALL[0],
        Some(name) => known_format(name)?,
    };
    let test = test_files::find(&mut *app.database.acquire().await?, id.0).await?.ok_or(ApiError::NotFound)?;
    let written = formats::write(&test, format);
    Ok(match query.0.report {
        Some(true) => Exported::Report(ExportReport::of(written)),
        _ => Exported::File { name: file_name(&test, format), format, written },
    })
}

impl HandIn {
    fn check(&self, file: &Upload) -> Result<Request<'_>, ApiError> {
        let named = self.format.as_deref().map(known_format).transpose()?;
        let faults = [
            fault("/title", self.title.as_deref(), Holds::Anything),
            fault("/subject", self.subject.as_deref(), Holds::LatinLetter),
            fault("/filename", self.filename.as_deref(), Holds::Anything),
        ];
        let faults: Vec<_> = faults.into_iter().flatten().collect();
        if !faults.is_empty() {
            return Err(ApiError::Invalid(faults));
        }
        if file.bytes.is_empty() {
            return Err(ApiError::unfitting("", "The file is empty."));
        }
        let (filename, media_type) = (self.filename.as_deref(), Some(file.media_type));
        Ok(Request {
            format: formats::expected(Label { format: named, filename, media_type }).map(|format| format.name),
            filename,
            title: self.title.as_deref(),
            subject: self.subject.as_deref(),
            on_existing: self.on_existing.unwrap_or_default(),
            dry_run: self.dry_run.unwrap_or_default(),
        })
    }
}

/// What a name must hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Anything,
    LatinLetter,
}

fn fault(pointer: &str, text: Option<&str>, holds: Holds) -> Option<InputError> {
    let text = text?;
    if !(1..=MAX_NAME).contains(&text.chars().count()) || text.contains(char::is_control) {
        return Some(InputError::at(pointer, format!("It has 1 to {MAX_NAME} visible characters.")));
    }
    let lacks = holds == Holds::LatinLetter && !text.contains(|character: char| character.is_ascii_alphanumeric());
    lacks.then(|| InputError::at(pointer, "It has a Latin letter or a digit."))
}

fn known_format(name: &str) -> Result<&'static Format, ApiError> {
    formats::find(name).ok_or_else(|| ApiError::invalid("/format", format!("Known are {}.", formats::names())))
}

fn format_names() -> Object {
    let names = formats::ALL.iter().map(|format| format.name);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

fn wants_csv(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').filter_map(|kind| kind.split(';').next()).any(|kind| kind.trim().eq_ignore_ascii_case("text/csv"))
}

fn file_name(test: &TestFile, format: &Format) -> String {
    let slug: String =
        test.slug.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').collect();
    format!("{slug}.{}", format.extensions[0])
}

/// A report as a list or as CSV.
pub(super) enum Report {
    Page(Listed<ReportRow>),
    Csv(String),
}

impl Responder for Report {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((header::VARY, "Accept"));
        match self {
            Self::Page(page) => response.json(page),
            Self::Csv(text) => response.content_type("text/csv; charset=utf-8").body(text),
        }
    }
}

impl Answers for Report {
    fn describe(description: &mut Description) {
        Json::<Listed<ReportRow>>::describe(description);
        description.answers_also(200, "text/csv", Object::with_type(Type::String).into());
    }
}

/// What a file does not hold of a test.
#[derive(Serialize, ToSchema)]
pub(super) struct ExportReport {
    /// Problems that tell of something lost.
    lost: usize,
    /// Problems that tell of something that reads, or is graded, differently.
    changed: usize,
    problems: Vec<Problem>,
}

impl ExportReport {
    fn of(written: Written) -> Self {
        let (lost, changed) = (written.count(Severity::Lost), written.count(Severity::Changed));
        Self { lost, changed, problems: written.problems }
    }
}

/// A test as a file, or what the file does not hold.
pub(super) enum Exported {
    File { name: String, format: &'static Format, written: Written },
    Report(ExportReport),
}

impl Responder for Exported {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        match self {
            Self::Report(report) => HttpResponse::Ok().json(report),
            Self::File { name, format, written } => HttpResponse::Ok()
                .content_type(format!("{}; charset=utf-8", format.media_types[0]))
                .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
                .insert_header((LOST, written.count(Severity::Lost)))
                .insert_header((CHANGED, written.count(Severity::Changed)))
                .body(written.text),
        }
    }
}

impl Answers for Exported {
    fn describe(description: &mut Description) {
        // JSON is the format as well as the report; so its schema is open.
        description.answers(200, "The file.", "application/json", Object::with_type(Type::Object).into());
        for format in formats::ALL.iter().filter(|format| format.name != "json") {
            description.answers_also(200, format.media_types[0], Object::with_type(Type::String).into());
        }
        description.answers_with_header(200, "Content-Disposition", "The file's name.");
        description.answers_with_header(200, "X-Bellwork-Lost", "So much of the test is not in the file.");
        description.answers_with_header(200, "X-Bellwork-Changed", "So much of the test reads otherwise in the file.");
    }
}
