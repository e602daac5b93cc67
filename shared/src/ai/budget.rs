//! Daily budgets. A call is paid for in advance: its highest price is reserved before it, so that calls under way at the
//! same time cannot overspend together, and what it has cost is settled after it, once.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::usage;
use crate::config::ai::DailyBudget;
use crate::ids::{JobId, UserId};
use crate::personal_data::erasure::{self, Presence};

/// The account of the whole installation.
const INSTALLATION: Uuid = Uuid::nil();

/// Why a call is made, which says which budgets it is bound by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A study aid: within the budgets.
    Aid,
    /// Marking: owed to the student, so it is counted and never refused.
    Marking,
}

/// A call about to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewCall<'a> {
    /// The job that makes it.
    pub job: JobId,
    /// The user on whose behalf.
    pub user: Option<UserId>,
    /// Why.
    pub purpose: Purpose,
    /// The model.
    pub model: &'a str,
    /// The most it can cost.
    pub highest_micros: i64,
}

/// The right to make one call. Its id is the call's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation(Uuid);

/// What came of asking for a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserving {
    /// Make the call, then settle it.
    Reserved(Reservation),
    /// Nothing is left for it today.
    Spent,
    /// What is left is reserved for calls under way, which may cost less.
    Occupied,
    /// No day's budget is enough for it; the variable says which.
    TooDear(&'static str),
}

/// What a call has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls: 1, or 0 if the server did nothing.
    pub requests: u32,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// What they cost, in millionths of the currency.
    pub cost_micros: i64,
}

/// The day of an instant, as budgets count it.
#[must_use]
pub fn day_of(instant: DateTime<Utc>) -> NaiveDate {
    instant.date_naive()
}

/// When the next day's budget begins.
#[must_use]
pub fn next_day(now: DateTime<Utc>) -> DateTime<Utc> {
    let tomorrow = now.date_naive().checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    tomorrow.and_time(NaiveTime::MIN).and_utc()
}

/// True if nothing is left today of the user's budget, or of the installation's. What is reserved counts as spent.
///
/// # Errors
/// If the database fails.
pub async fn is_exhausted(conn: &mut PgConnection, budget: DailyBudget, user: UserId) -> sqlx::Result<bool> {
    if budget == DailyBudget::default() {
        return Ok(false);
    }
    let exhausted = sqlx::query_scalar!(
        r#"
        select exists (
            select from ai_spending
            where account = any($1) and day = $2
              and spent_micros + reserved_micros >= case account when $3 then $4::bigint else $5::bigint end
        ) as "exhausted!"
        "#,
        &[user.0, INSTALLATION],
        day_of(Utc::now()),
        INSTALLATION,
        budget.in_all,
        budget.per_user,
    );
    exhausted.fetch_one(conn).await
}

/// Reserves the highest price of a call on both accounts, or says why not. In the caller's transaction, which is to be
/// rolled back unless it is reserved, and short: the installation's account is one row.
///
/// # Errors
/// If the database fails.
pub async fn reserve(conn: &mut PgConnection, budget: DailyBudget, call: &NewCall<'_>) -> sqlx::Result<Reserving> {
    let day = day_of(Utc::now());
    let limits = match call.purpose {
        Purpose::Aid => budget,
        Purpose::Marking => DailyBudget::default(),
    };
    let user = still_there(&mut *conn, call.user).await?;
    let accounts = [
        (user.map(|user| user.0), limits.per_user, "AI_DAILY_BUDGET_USER"),
        (Some(INSTALLATION), limits.in_all, "AI_DAILY_BUDGET_TOTAL"),
    ];
    for (account, limit, variable) in accounts {
        let Some(account) = account else { continue };
        if limit.is_some_and(|limit| call.highest_micros > limit) {
            return Ok(Reserving::TooDear(variable));
        }
        if !hold(&mut *conn, account, day, call.highest_micros, limit).await? {
            return why_not(conn, account, day, call.highest_micros, limit).await;
        }
    }
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into ai_calls (id, job_id, user_id, day, model, reserved_micros) values ($1, $2, $3, $4, $5, $6)",
        id,
        call.job as JobId,
        user as Option<UserId>,
        day,
        call.model,
        call.highest_micros,
    )
    .execute(conn)
    .await?;
    Ok(Reserving::Reserved(Reservation(id)))
}

/// The user, unless they were erased: nothing may be written under their id any more.
async fn still_there(conn: &mut PgConnection, user: Option<UserId>) -> sqlx::Result<Option<UserId>> {
    let Some(user) = user else { return Ok(None) };
    Ok((erasure::hold_off(conn, user).await? == Presence::Here).then_some(user))
}

/// True if `micros` could be reserved on `account`.
async fn hold(
    conn: &mut PgConnection,
    account: Uuid,
    day: NaiveDate,
    micros: i64,
    limit: Option<i64>,
) -> sqlx::Result<bool> {
    let held = sqlx::query!(
        r#"
        insert into ai_spending as account (account, day, reserved_micros) values ($1, $2, $3)
        on conflict (account, day) do update set reserved_micros = account.reserved_micros + excluded.reserved_micros
        where $4::bigint is null or account.spent_micros + account.reserved_micros + excluded.reserved_micros <= $4
        "#,
        account,
        day,
        micros,
        limit,
    );
    Ok(held.execute(conn).await?.rows_affected() == 1)
}

async fn why_not(
    conn: &mut PgConnection,
    account: Uuid,
    day: NaiveDate,
    micros: i64,
    limit: Option<i64>,
) -> sqlx::Result<Reserving> {
    let spent =
        sqlx::query_scalar!("select spent_micros from ai_spending where account = $1 and day = $2", account, day);
    let spent = spent.fetch_optional(conn).await?.unwrap_or_default();
    let fits = limit.is_none_or(|limit| spent.saturating_add(micros) <= limit);
    Ok(if fits { Reserving::Occupied } else { Reserving::Spent })
}

/// Counts what a call has used in place of what was reserved for it. Once: a second time nothing happens.
///
/// # Errors
/// If the database fails.
pub async fn settle(conn: &mut PgConnection, reservation: Reservation, spent: Spent) -> sqlx::Result<()> {
    let user = sqlx::query_scalar!(r#"select user_id as "user: UserId" from ai_calls where id = $1"#, reservation.0);
    let user = user.fetch_optional(&mut *conn).await?.flatten();
    still_there(&mut *conn, user).await?;
    let call = sqlx::query!(
        r#"
        delete from ai_calls where id = $1
        returning user_id as "user_id: UserId", day, model, reserved_micros
        "#,
        reservation.0,
    );
    let Some(call) = call.fetch_optional(&mut *conn).await? else { return Ok(()) };
    if let Some(user) = call.user_id {
        usage::add(&mut *conn, user, call.day, &call.model, spent).await?;
        charge(&mut *conn, user.0, call.day, call.reserved_micros, spent.cost_micros).await?;
    }
    charge(conn, INSTALLATION, call.day, call.reserved_micros, spent.cost_micros).await
}

async fn charge(conn: &mut PgConnection, account: Uuid, day: NaiveDate, reserved: i64, cost: i64) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update ai_spending set reserved_micros = reserved_micros - $3, spent_micros = spent_micros + $4
        where account = $1 and day = $2
        "#,
        account,
        day,
        reserved,
        cost,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The calls of a job whose process died before it could settle them, with what was reserved for each: nobody knows what
/// they used. Each is to be settled in a transaction of its own, so that no two settlements wait for each other.
///
/// # Errors
/// If the database fails.
pub async fn lost(conn: &mut PgConnection, job: JobId) -> sqlx::Result<Vec<(Reservation, Spent)>> {
    let calls = sqlx::query!("select id, reserved_micros from ai_calls where job_id = $1 order by id", job as JobId);
    let calls = calls.fetch_all(conn).await?.into_iter();
    let at_worst = |reserved| Spent { requests: 1, cost_micros: reserved, ..Spent::default() };
    Ok(calls.map(|call| (Reservation(call.id), at_worst(call.reserved_micros))).collect())
}
