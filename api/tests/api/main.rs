//! The API as its clients meet it: the real application on a port of its own, real PostgreSQL, real Redis.

mod accounts;
mod application;
mod attempts;
mod attempts_refused;
mod events;
mod exam;
mod http;
mod idempotency;
mod jobs;
mod leaderboard;
mod link;
mod notifications;
mod operators;
mod outages;
mod streams;
mod streams_end;
