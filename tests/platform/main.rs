//! The promises, on real servers and with the real programs as processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod authors;
mod backlog;
mod crashes;
mod deploys;
mod effects;
mod grading;
mod journey;
mod key;
mod losses;
mod plans;
mod pooler;
mod replicas;
mod steering;
mod study_aids;
