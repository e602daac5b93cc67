//! The engine on a real Redis.

mod faults;
mod life;
mod recovery;
mod selection;
mod support;
