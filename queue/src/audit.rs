//! The audit: leases that Redis gave this process and that it does not know of.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::claimer::Claimer;
use crate::delivery::{Lease, Verdict};
use crate::error::Error;
use crate::settler::Settlement;

/// After a claim whose answer was lost, leases that nobody knows of are looked for during this time.
const SUSPICION: Duration = Duration::from_secs(15);
/// Forgotten leases are looked for this often without any reason.
const AUDIT_EVERY: Duration = Duration::from_secs(30);
const AUDIT_PAGE: usize = 500;

/// A field and a value of a Redis hash.
type Entry = (Vec<u8>, Vec<u8>);

/// The look-out for leases that this process does not know of.
pub(crate) struct Audit {
    /// When to look next without any reason.
    pub(crate) next: Instant,
    /// Set after a claim whose answer was lost.
    suspicious_until: Option<Instant>,
    /// What was unknown the last time.
    unknown: HashSet<(Uuid, Lease)>,
}

impl Audit {
    pub(crate) fn begin() -> Self {
        Self { next: Instant::now() + AUDIT_EVERY, suspicious_until: None, unknown: HashSet::new() }
    }

    /// The answer to a claim was lost.
    pub(crate) fn suspect(&mut self) {
        self.suspicious_until = Some(Instant::now() + SUSPICION);
    }

    pub(crate) fn is_suspicious(&self) -> bool {
        self.suspicious_until.is_some_and(|until| Instant::now() < until)
    }

    pub(crate) fn put_off(&mut self) {
        self.next = Instant::now() + AUDIT_EVERY;
    }
}

impl Claimer {
    /// Releases leases of this process that it does not know of: the answer to a claim was lost, or Redis lost the end of
    /// a job. Without a suspicion only what was unknown the last time, too. Since only this task claims for the queue, no
    /// claim is under way meanwhile.
    pub(crate) async fn release_unknown(&self, audit: &mut Audit) {
        let unknown = match self.unknown_leases().await {
            Ok(unknown) => unknown,
            Err(error) => return debug!(%error, queue = &*self.source.keys.queue, "leases not audited"),
        };
        let sure = audit.is_suspicious();
        let (release, remember): (Vec<_>, Vec<_>) =
            unknown.into_iter().partition(|entry| sure || audit.unknown.contains(entry));
        if !release.is_empty() {
            warn!(
                queue = &*self.source.keys.queue,
                jobs = release.len(),
                "released jobs that this process does not know of"
            );
        }
        audit.unknown = remember.into_iter().collect();
        for (id, lease) in release {
            self.settler.settle(Settlement { id, lease, verdict: Verdict::Release });
        }
    }

    async fn unknown_leases(&self) -> Result<Vec<(Uuid, Lease)>, Error> {
        let mut unknown = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&*self.source.keys.leases).arg(cursor).arg("COUNT").arg(AUDIT_PAGE);
            let (next, page): (u64, Vec<Entry>) = scan.query_async(&mut self.source.engine.connection.clone()).await?;
            for (id, lease) in page {
                let lease = Lease(lease.into());
                if let Ok(id) = Uuid::from_slice(&id)
                    && lease.process() == Some(self.process.as_str().as_bytes())
                    && !self.in_hand.holds(id, &lease)
                {
                    unknown.push((id, lease));
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(unknown);
            }
        }
    }
}
