//! What PostgreSQL does for each route, read from its own log: which plans it chooses on tables that are large, and how
//! many statements a route needs.

use std::collections::{BTreeMap, BTreeSet};

use bellwork_testkit::eventually;
use bellwork_tests::installation::Installation;
use bellwork_tests::walk::{Ask, Walker};
use serde_json::Value;
use sqlx::AssertSqlSafe;

/// Large enough that the planner has a reason to prefer indexes, and small enough to be loaded in half a minute.
const SCALE: [&str; 10] =
    ["seed", "--scale", "--users", "20000", "--attempts", "100000", "--votes", "200000", "--questions", "8000"];
/// What has more than ten thousand rows in a large installation.
const LARGE: &[&str] = &[
    "ai_usage",
    "api_tokens",
    "attempts",
    "import_problems",
    "jobs",
    "leaderboard_bands",
    "leaderboard_entries",
    "leaderboard_histogram",
    "notification_streams",
    "notifications",
    "questions",
    "sessions",
    "sittings",
    "study_aids",
    "topic_standings",
    "users",
    "vote_counts",
    "vote_events",
    "vote_traces",
    "votes",
];
/// So many rows each of these has here, so that a plan for it means something.
const FEWEST: i64 = 900;
/// A prepared statement may get a plan for all values of its parameters from its sixth execution on a connection on.
const REPETITIONS: usize = 12;
/// No route needs more.
const MOST_STATEMENTS: usize = 6;
/// What may be read whole: the route, the table, and why that is no harm.
const EXCUSED: &[(&str, &str, &str)] = &[
    ("/api/metrics", "jobs", "the dead alone, which have an index of their own"),
    ("/api/stats", "attempts", "counted only while statistics say that there are few, once a minute"),
    ("/api/stats", "users", "counted only while statistics say that there are few, once a minute"),
    ("/api/stats", "votes", "counted only while statistics say that there are few, once a minute"),
];
/// What statements begin with that have a plan.
const PLANNED: [&str; 5] = ["select", "with", "insert", "update", "delete"];
/// What the API calls its connections.
const API: &str = "bellwork-api|";

/// The parameters that say how many items are asked for.
const SIZES: [&str; 3] = ["limit=", "around=", "per_page="];

/// An installation with the data of a large one, whose PostgreSQL logs each statement of the API and its plan.
async fn large_installation() -> Installation {
    let mut installation = Installation::with_postgres().await;
    installation.bellwork(&SCALE);
    // Few connections plan for all requests, so that these come to plans for all values of parameters.
    installation.set("DATABASE_POOL_SIZE", "2");
    let database = installation.variable("DATABASE_URL").rsplit('/').next().unwrap().to_owned();
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_format = 'json'",
        "auto_explain.log_nested_statements = on",
        "log_statement = 'all'",
    ] {
        execute(&installation, &format!("alter database {database} set {setting}")).await;
    }
    execute(&installation, "alter system set log_line_prefix = '%a|'").await;
    execute(&installation, "select pg_reload_conf()").await;
    eventually("the log names applications", async || {
        execute(&installation, "do $$ begin raise log 'look'; end $$").await;
        log(&installation).contains("|LOG:  look").then_some(())
    })
    .await;
    installation
}

async fn execute(installation: &Installation, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&installation.database).await.unwrap();
}

fn log(installation: &Installation) -> String {
    installation.postgres.as_ref().unwrap().log()
}

/// The entries that the API has caused, without what goes before the message.
fn entries(log: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in log.lines() {
        match line.strip_prefix('\t') {
            Some(more) => entries.last_mut().into_iter().for_each(|entry| entry.extend(["\n", more])),
            None => entries.push(line.to_owned()),
        }
    }
    entries.into_iter().filter_map(|entry| entry.strip_prefix(API)?.strip_prefix("LOG:  ").map(str::to_owned)).collect()
}

/// What was executed, without settings, the bounds of transactions and the driver's look-ups of types.
fn statements(log: &str) -> Vec<String> {
    let statement = |entry: String| {
        let (how, statement) = entry.split_once(": ")?;
        let (statement, is_work) = (statement.trim(), how.starts_with("execute ") && !statement.contains("pg_catalog"));
        (is_work && PLANNED.iter().any(|verb| statement.starts_with(verb))).then(|| statement.to_owned())
    };
    entries(log).into_iter().filter_map(statement).collect()
}

/// Each plan with the text of its statement.
fn plans(log: &str) -> Vec<(String, Value)> {
    let plan = |entry: String| {
        let (head, json) = entry.split_once("plan:")?;
        let mut plan: Value = head.starts_with("duration: ").then(|| serde_json::from_str(json).unwrap())?;
        Some((plan["Query Text"].as_str().unwrap().trim().to_owned(), plan["Plan"].take()))
    };
    entries(log).into_iter().filter_map(plan).collect()
}

/// Whether the rows that a node gives are asked for one by one until there are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Appetite {
    All,
    Enough,
}

/// The large tables that a plan reads from one end to the other.
fn whole_reads(node: &Value, appetite: Appetite, large: &BTreeMap<String, &'static str>) -> BTreeSet<&'static str> {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let table = node["Relation Name"].as_str().and_then(|name| large.get(name));
    let without_condition = kind.starts_with("Index") && node["Index Cond"].is_null() && appetite == Appetite::All;
    let is_whole = kind == "Seq Scan" || without_condition;
    let appetite = match kind {
        "Limit" => Appetite::Enough,
        "Sort" | "Aggregate" | "Hash" | "WindowAgg" | "Materialize" | "ModifyTable" => Appetite::All,
        _ => appetite,
    };
    let children = node["Plans"].as_array().into_iter().flatten();
    let below = children.flat_map(|child| whole_reads(child, appetite, large));
    below.chain(table.copied().filter(|_| is_whole)).collect()
}

/// The large tables, and their partitions that are not empty, each with the table that it is of.
async fn large_tables(installation: &Installation) -> BTreeMap<String, &'static str> {
    let mut tables = BTreeMap::new();
    for table in LARGE {
        let count = AssertSqlSafe(format!("select tableoid::regclass::text, count(*) from {table} group by 1"));
        let parts: Vec<(String, i64)> = sqlx::query_as(count).fetch_all(&installation.database).await.unwrap();
        let rows: i64 = parts.iter().map(|(_, rows)| rows).sum();
        assert!(rows >= FEWEST, "{table} has {rows} rows");
        tables.extend(parts.into_iter().filter(|(_, rows)| *rows >= FEWEST).map(|(part, _)| (part, *table)));
    }
    tables
}

/// A plan of the tests' own, to see that it would be found.
async fn plan_of(installation: &Installation, statement: &str) -> Value {
    let explain = AssertSqlSafe(format!("explain (format json) {statement}"));
    let mut plan: Value = sqlx::query_scalar(explain).fetch_one(&installation.database).await.unwrap();
    plan[0]["Plan"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_reads_a_large_table_whole_or_more_often_for_more_items() {
    let installation = large_installation().await;
    let large = large_tables(&installation).await;
    for (statement, found) in [
        ("select from attempts where score = 7", vec!["attempts"]),
        ("select id from votes order by cast_at limit 1", vec!["votes"]),
        ("select id from votes order by id limit 1", vec![]),
    ] {
        let reads = whole_reads(&plan_of(&installation, statement).await, Appetite::All, &large);
        assert_eq!(reads.into_iter().collect::<Vec<_>>(), found, "{statement}");
    }
    let api = installation.api().await;
    let walker = Walker::new(&api.url, &installation.database).await;
    // What a process reads once is no route's: the session, and the key that signs cursors.
    walker.get("/api/models?limit=2").await;
    walker.get("/api/me").await;

    let mut routes: BTreeMap<String, String> = BTreeMap::new();
    let mut counts: BTreeMap<Ask, usize> = BTreeMap::new();
    for ask in walker.asks(1).await {
        let before = log(&installation).len();
        walker.get(ask.path()).await;
        let executed = statements(&log(&installation)[before..]);
        counts.insert(ask.clone(), executed.len());
        routes.extend(executed.into_iter().map(|statement| (statement, ask.path().to_owned())));
        for _ in 1..REPETITIONS {
            follow(&walker, &ask).await;
        }
    }
    drop(api);
    let plans = eventually("every statement has its plan", async || {
        let plans = plans(&log(&installation));
        let planned: BTreeSet<_> = plans.iter().map(|(statement, _)| statement.as_str()).collect();
        routes.keys().all(|statement| planned.contains(statement.as_str())).then_some(plans)
    })
    .await;

    let mut wrong = BTreeSet::new();
    for (statement, plan) in &plans {
        let route = routes.get(statement).map_or("beside the routes", String::as_str);
        let mut found = whole_reads(plan, Appetite::All, &large);
        found.retain(|table| !EXCUSED.iter().any(|excused| (excused.0, excused.1) == (route, *table)));
        if !found.is_empty() {
            wrong.insert(format!("{route}: {found:?} in\n{statement}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n\n"));
    assert_counts(&counts);
}

/// Asks, and asks for what comes after it, if that goes on.
async fn follow(walker: &Walker, ask: &Ask) {
    let answer = walker.get(ask.path()).await;
    if ask.route.ends_with("/stream") {
        return;
    }
    let bytes = answer.bytes().await.unwrap();
    let cursor =
        serde_json::from_slice::<Value>(&bytes).ok().and_then(|body| Some(body["next_cursor"].as_str()?.to_owned()));
    if let Some(cursor) = cursor {
        let join = if ask.path().contains('?') { '&' } else { '?' };
        walker.get(&format!("{}{join}cursor={cursor}", ask.path())).await.bytes().await.unwrap();
    }
}

/// A list of one and one of many cost the same number of statements, and no route many.
fn assert_counts(counts: &BTreeMap<Ask, usize>) {
    let mut of_all_sizes: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (ask, count) in counts {
        assert!(*count <= MOST_STATEMENTS, "{}: {count} statements", ask.path());
        of_all_sizes.entry(without_size(ask.path())).or_default().insert(*count);
    }
    of_all_sizes.retain(|_, counts| counts.len() > 1);
    assert!(of_all_sizes.is_empty(), "more statements for more items: {of_all_sizes:?}");
}

/// The path without how many items are asked for.
fn without_size(path: &str) -> String {
    let is_size = |part: &&str| SIZES.iter().any(|size| part.starts_with(size));
    path.split(['?', '&']).filter(|part| !is_size(part)).collect::<Vec<_>>().join("&")
}
