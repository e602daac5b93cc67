//! What a request is worth, and what it may therefore claim.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::futures::TaskLocalFuture;

/// How much a request is worth when not all can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// Who stands where: interesting, and the same a little later.
    Ranking,
    /// Everything else that is only read.
    Read,
    /// What changes something: a student has worked for it.
    Submit,
}

/// How long each class of requests waits, and how many of it.
pub(super) struct Patience {
    /// It is refused at once if the longest waiter has waited this long.
    pub(super) head: Duration,
    /// The longest it waits itself, for all its connections together.
    pub(super) own: Duration,
    /// It is refused at once if this many wait.
    pub(super) places: usize,
    /// Its answer is given up after this time.
    pub(super) answer: Duration,
}

pub(super) const RANKING: Patience = Patience {
    head: Duration::from_millis(250),
    own: Duration::from_millis(600),
    places: 64,
    answer: Duration::from_secs(3),
};
pub(super) const READ: Patience = Patience {
    head: Duration::from_millis(500),
    own: Duration::from_secs(1),
    places: 256,
    answer: Duration::from_secs(6),
};
pub(super) const SUBMIT: Patience = Patience {
    head: Duration::from_secs(1),
    // A submission may need four connections, and before each may stand as long a wait as reads still join.
    own: Duration::from_millis(2500),
    places: 1024,
    answer: Duration::from_secs(12),
};

impl Worth {
    pub(super) fn patience(self) -> &'static Patience {
        match self {
            Self::Ranking => &RANKING,
            Self::Read => &READ,
            Self::Submit => &SUBMIT,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ranking => "ranking",
            Self::Read => "read",
            Self::Submit => "submit",
        }
    }
}

tokio::task_local! {
    /// Of the request that a task works for.
    static CLAIM: Claim;
}

/// What a request may claim: shared by all that is done for it, also in other tasks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Claim(Arc<Mutex<Standing>>);

#[derive(Clone, Copy, Debug)]
struct Standing {
    /// The highest once much was done for it, which sending it away would waste.
    worth: Worth,
    /// How long it has waited for connections.
    waited: Duration,
    /// When its answer is given up.
    ends: Instant,
}

impl Claim {
    pub(super) fn of(worth: Worth) -> Self {
        let ends = Instant::now() + worth.patience().answer;
        Self(Arc::new(Mutex::new(Standing { worth, waited: Duration::ZERO, ends })))
    }

    /// That of the request for which the current task works; outside of one, that of a new reader.
    pub(crate) fn current() -> Self {
        CLAIM.try_with(Self::clone).unwrap_or_else(|_| Self::of(Worth::Read))
    }

    /// Does `work` for the request, in whichever task. No `async fn`, in which the work would take its room twice.
    pub(crate) fn hold<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        CLAIM.scope(self, work)
    }

    /// How much longer it may wait.
    pub(crate) fn patience(&self) -> Duration {
        let standing = self.lock();
        standing.worth.patience().own.saturating_sub(standing.waited)
    }

    /// From here on it may wait for `left` at the most.
    pub(crate) fn leave(&self, left: Duration) {
        let mut standing = self.lock();
        standing.waited = standing.waited.max(standing.worth.patience().own.saturating_sub(left));
    }

    pub(super) fn has_waited(&self, long: Duration) {
        self.lock().waited += long;
    }

    pub(super) fn raise(&self) {
        self.lock().worth = Worth::Submit;
    }

    fn postpone(&self, by: Duration) {
        let mut standing = self.lock();
        standing.ends = Instant::now() + by + standing.worth.patience().answer;
    }

    pub(super) fn worth(&self) -> Worth {
        self.lock().worth
    }

    pub(super) fn ends(&self) -> Instant {
        self.lock().ends
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Receives what the client still sends: its line may be slow, so that the time for the answer begins anew after it. What
/// was received is not to be sent again: the request is then worth most.
pub(crate) async fn receive<T>(longest: Duration, sent: impl Future<Output = T>) -> T {
    let claim = Claim::current();
    claim.postpone(longest);
    let received = sent.await;
    claim.raise();
    claim.postpone(Duration::ZERO);
    received
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_worth_less_gives_up_sooner() {
        let [ranking, read, submit] = [Worth::Ranking, Worth::Read, Worth::Submit].map(Worth::patience);
        assert!(ranking.head < read.head && read.head < submit.head);
        assert!(ranking.own < read.own && read.own < submit.own);
        assert!(ranking.places < read.places && read.places < submit.places);
    }
}
