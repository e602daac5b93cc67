//! `start-workers`: claims and runs jobs, relays, reconciles and schedules.

pub mod executor;
pub mod quarantine;
pub mod reconcile;
pub mod record;
pub mod relay;
pub mod runtime;
pub mod schedule;
