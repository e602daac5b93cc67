//! How far a running job is, as its handler says.

use std::sync::Arc;

use uuid::Uuid;

use crate::delivery::Lease;
use crate::engine::Engine;
use crate::error::Error;
use crate::job::check_note;
use crate::keys::Keys;
use crate::scripts;

/// Where the jobs of a queue come from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) engine: Engine,
    pub(crate) keys: Arc<Keys>,
}

/// Tells how far one delivery is. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reporter {
    source: Arc<Source>,
    id: Uuid,
    lease: Lease,
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It stands beside the job until the job ends.
    Noted,
    /// The lease has gone to somebody else: the handler may as well end.
    Disowned,
}

impl Reporter {
    pub(crate) fn new(source: Arc<Source>, id: Uuid, lease: Lease) -> Self {
        Self { source, id, lease }
    }

    /// Stores `note`, text of the application's choice, for operators and as evidence should the process die of the job.
    ///
    /// # Errors
    /// If it has more than 1,000 bytes, or Redis fails.
    pub async fn progress(&self, note: &str) -> Result<Report, Error> {
        check_note(note)?;
        let Source { engine, keys } = &*self.source;
        let mut progress = scripts::PROGRESS.on(keys);
        progress.arg(self.id.as_bytes()).arg(&*self.lease.0).arg(note);
        let noted: u8 = scripts::call(&progress, &mut engine.connection.clone()).await?;
        Ok(if noted == 1 { Report::Noted } else { Report::Disowned })
    }
}
