//! What AI servers write and cost: study aids, results kept by content, and usage within budgets.

pub mod aids;
pub mod budget;
mod description;
pub mod forms;
pub mod results;
pub mod seen_questions;
pub mod usage;
