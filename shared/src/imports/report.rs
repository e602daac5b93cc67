//! The report of an import, row by row.

use serde::Serialize;
use sqlx::PgConnection;

use crate::formats::{Problem, Severity};
use crate::ids::ImportId;

/// A row of an import's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReportRow {
    /// Its place in the report, from 1.
    pub row: i32,
    /// What did not come through as it was.
    #[serde(flatten)]
    pub problem: Problem,
}

/// Writes the report of an import.
pub(super) async fn insert(conn: &mut PgConnection, id: ImportId, problems: &[Problem]) -> sqlx::Result<()> {
    let column =
        |value: fn(&Problem) -> &str| problems.iter().map(|problem| value(problem).to_owned()).collect::<Vec<_>>();
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    sqlx::query!(
        r#"
        insert into import_problems (import_id, row, line, question, pointer, severity, detail, hint)
        select $1, row, line, question, pointer, severity::import_severity, detail, hint
        from unnest($2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) with ordinality
             as problem (line, question, pointer, severity, detail, hint, row)
        "#,
        id as ImportId,
        &lines as &[Option<i32>],
        &column(|problem| &problem.question),
        &column(|problem| &problem.pointer),
        &column(|problem| problem.severity.name()),
        &column(|problem| &problem.detail),
        &column(|problem| &problem.hint),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` rows of an import's report, after the row `after`.
///
/// # Errors
/// If the database fails.
pub async fn report(conn: &mut PgConnection, id: ImportId, after: i32, limit: i64) -> sqlx::Result<Vec<ReportRow>> {
    let rows = sqlx::query!(
        r#"
        select row, line, question, pointer, severity as "severity: Severity", detail, hint
        from import_problems where import_id = $1 and row > $2 order by row limit $3
        "#,
        id as ImportId,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| {
        let (line, question, pointer, severity) = (row.line, row.question, row.pointer, row.severity);
        ReportRow {
            row: row.row,
            problem: Problem { line, question, pointer, severity, detail: row.detail, hint: row.hint },
        }
    });
    Ok(rows.collect())
}
