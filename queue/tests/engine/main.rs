//! The engine on a real Redis.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod draining;
mod faults;
mod groups;
mod life;
mod partitions;
mod recovery;
mod selection;
mod steering;
mod support;
mod suspects;
mod unique;
