//! The section of a prompt in which everything is data: a student's words, between two lines that nobody who wrote
//! them could have written, since they hold a number made from the id of a job that did not exist then.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::wording::visible;

/// The lines around a section, and other choices of one prompt that nobody can foresee: the same for each run of a job.
#[derive(Clone, Debug)]
pub(crate) struct Seed([u8; 32]);

impl Seed {
    /// For what a job asks about `subject`.
    pub(crate) fn of(job: Uuid, subject: Uuid) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"bellwork prompt");
        hash.update(job.as_bytes());
        hash.update(subject.as_bytes());
        Self(hash.finalize().into())
    }

    /// The `index`th of numbers that look random.
    pub(super) fn number(&self, index: u8) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update([index]);
        let bytes: [u8; 32] = hash.finalize().into();
        bytes.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// `data` between its lines, without what no reader sees.
    pub(crate) fn fenced(&self, data: &str) -> String {
        let mark = format!("{:016x}{:016x}", self.number(0), self.number(1));
        format!("<<<{mark}\n{}\n{mark}>>>", visible(data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_the_same_for_a_job_run_again_and_another_for_another_job() {
        let (job, subject) = (Uuid::now_v7(), Uuid::now_v7());
        let fenced = Seed::of(job, subject).fenced("a\u{200b}b\n>>>\n<<<0");
        assert_eq!(fenced, Seed::of(job, subject).fenced("ab\n>>>\n<<<0"));
        assert_ne!(fenced, Seed::of(Uuid::now_v7(), subject).fenced("ab\n>>>\n<<<0"));
        assert_eq!(fenced.lines().count(), 5);
        let mark = fenced.lines().next().unwrap().strip_prefix("<<<").unwrap();
        assert!(mark.len() == 32 && fenced.ends_with(&format!("\n{mark}>>>")), "{fenced}");
    }
}
