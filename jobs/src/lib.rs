//! The jobs Bellwork can run, and how one is submitted.

mod aids;
mod books;
pub mod bulk;
pub mod cache;
pub mod context;
pub mod envelope;
pub mod failure;
pub mod grading;
pub mod job;
pub mod kinds;
pub mod mailer;
pub mod marker;
pub mod paper;
pub mod queues;
pub mod reconcile;
pub mod recording;
#[cfg(test)]
mod rehearsal;
pub mod rubric;
pub mod running;
pub mod schedules;
pub mod steering;
pub mod submit;
pub mod tutor;
pub mod wording;
