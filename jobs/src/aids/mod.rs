//! Study aids: what a model is asked to write, how it is asked once and paid once, and what our own rules write instead
//! where there is no model.

pub(crate) mod commission;
pub(crate) mod desk;
pub(crate) mod outcome;
pub(crate) mod plain;
pub(crate) mod planner;
pub(crate) mod right_answer;
pub(crate) mod taken;
#[cfg(test)]
mod tests;
