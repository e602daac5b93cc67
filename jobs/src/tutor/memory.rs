//! What this process has had marked lately: a job that runs again, because a later question failed or had to wait, does
//! not ask and pay for the earlier ones again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bellwork_shared::ids::{JobId, QuestionId};

use crate::marker::Marked;

/// The most answers remembered.
const CAPACITY: usize = 1000;

/// One question of one job.
pub(super) type Subject = (JobId, QuestionId);

/// The latest marked answers.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    marked: HashMap<Subject, Marked>,
    oldest_first: VecDeque<Subject>,
}

impl Memory {
    /// What was marked before.
    pub(super) fn recall(&self, subject: Subject) -> Option<Marked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).marked.get(&subject).cloned()
    }

    /// Keeps a marked answer and forgets the oldest if there are too many.
    pub(super) fn keep(&self, subject: Subject, marked: Marked) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.marked.insert(subject, marked).is_none() {
            entries.oldest_first.push_back(subject);
        }
        if entries.oldest_first.len() > CAPACITY
            && let Some(oldest) = entries.oldest_first.pop_front()
        {
            entries.marked.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwork_shared::attempts::GradedBy;

    use super::*;
    use crate::marker::Usage;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let memory = Memory::default();
        let usage = Usage::default();
        let marked = Marked { met: Vec::new(), share: 0.0, comment: String::new(), graded_by: GradedBy::Ai, usage };
        let subjects: Vec<Subject> = (0..=CAPACITY).map(|_| (JobId::new(), QuestionId::new())).collect();
        for subject in &subjects {
            memory.keep(*subject, marked.clone());
            memory.keep(*subject, marked.clone());
        }
        assert_eq!(memory.recall(subjects[0]), None);
        assert_eq!(memory.recall(subjects[1]), Some(marked.clone()));
        assert_eq!(memory.recall(subjects[CAPACITY]), Some(marked));
    }
}
