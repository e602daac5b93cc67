//! What every process of Bellwork needs: configuration, the stores, and the tables by noun.
//!
//! Functions over tables take a connection and never commit: the caller owns the transaction.

pub mod ai;
pub mod answers;
pub mod api_tokens;
pub mod attempts;
pub mod authoring;
pub mod cache;
pub mod catalogue;
pub mod config;
pub mod content;
pub mod database;
pub mod events;
pub mod formats;
mod front;
pub mod idempotency;
pub mod ids;
pub mod imports;
pub mod installation;
pub mod leaderboard;
pub mod ledger;
pub mod mailed_links;
pub mod models;
pub mod notifications;
pub mod partitions;
pub mod passwords;
pub mod personal_data;
pub mod points;
pub mod practice;
pub mod practice_tests;
pub mod question_bank;
pub mod ranking;
pub mod rate_limit;
pub mod reading;
#[cfg(test)]
mod rehearsal;
pub mod results;
pub mod retention;
pub mod reviews;
pub mod schedules;
pub mod schemas;
pub mod server_events;
pub mod sessions;
pub mod shutdown;
pub mod sittings;
pub mod slugs;
pub mod stats;
pub mod telemetry;
pub mod test_files;
pub mod tokens;
pub mod topics;
pub mod users;
pub mod versions;
pub mod votes;
