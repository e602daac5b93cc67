//! The API as its clients meet it: the real application on a port of its own, real PostgreSQL, real Redis.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account_data;
mod account_links;
mod account_races;
mod account_sessions;
mod accounts;
mod api_tokens;
mod application;
mod attempts;
mod attempts_refused;
mod caching;
mod caching_http;
mod content;
mod documents;
mod events;
mod exam;
mod foreign_sites;
mod guessing;
mod holder;
mod http;
mod idempotency;
mod imports;
mod jobs;
mod leaderboard;
mod limits;
mod link;
mod models;
mod notifications;
mod operators;
mod operators_jobs;
mod operators_schedules;
mod outages;
mod overload;
mod owasp;
mod practice;
mod question_bank;
mod question_bank_plans;
mod sittings;
mod streams;
mod streams_end;
mod study_aids;
mod versions;
mod votes;
mod work;
