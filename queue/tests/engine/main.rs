//! The engine on a real Redis.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod life;
mod recovery;
mod selection;
mod support;
