//! The promises, on real servers and with the real programs as processes.

mod backlog;
mod crashes;
mod deploys;
mod effects;
mod grading;
mod journey;
mod key;
mod losses;
