//! Batches: jobs that are pushed together, and one more that runs when all of them have ended, in whatever way.

use uuid::Uuid;

use crate::error::Error;
use crate::job::{NewJob, batch_name};
use crate::keys::Keys;
use crate::partition::{part_name, part_of};
use crate::producer::{Producer, Pushed};
use crate::scripts;

/// What came of opening or closing a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// It is done.
    Changed,
    /// It was so before; or the callback's id is in the queue already.
    Unchanged,
}

impl Producer {
    /// Pushes `members` as a batch; `callback` runs when each of them is done, dead or removed. All are of one queue. If
    /// this fails, push the same batch again: members that are still there are not stored twice.
    ///
    /// # Errors
    /// As [`Producer::push`].
    pub async fn push_batch(
        &self,
        queue: &str,
        batch: Uuid,
        members: Vec<NewJob>,
        callback: NewJob,
    ) -> Result<Vec<Pushed>, Error> {
        let members: Vec<_> = members.into_iter().map(|job| NewJob { batch: Some(batch), ..job }).collect();
        members.iter().try_for_each(NewJob::check)?;
        self.open_batch(queue, batch, callback).await?;
        let outcomes = self.push(queue, members).await?;
        self.close_batch(queue, batch).await?;
        Ok(outcomes)
    }

    /// Opens a batch: jobs whose [`NewJob::batch`] it is are its members from now on. `callback` waits until the batch is
    /// closed and its members have ended.
    ///
    /// # Errors
    /// If the callback cannot be used, or Redis fails.
    pub async fn open_batch(&self, queue: &str, batch: Uuid, callback: NewJob) -> Result<Batch, Error> {
        callback.check()?;
        let keys = self.batch_keys(queue, batch)?;
        let mut open = scripts::BATCH.on(&keys);
        open.arg(batch_name(batch)).arg("open").arg(callback.id.as_bytes()).arg(callback.priority as u8);
        open.arg(callback.group.as_deref().unwrap_or_default()).arg(callback.stored());
        let changed: u8 = scripts::call(&open, &mut self.engine().connection.clone()).await?;
        Ok(said(changed))
    }

    /// The keys of the partition to which all jobs of a batch go.
    fn batch_keys(&self, queue: &str, batch: Uuid) -> Result<Keys, Error> {
        let member = NewJob { batch: Some(batch), ..NewJob::new(batch, "") };
        match self.engine().partitions_of(queue) {
            1 => self.engine().keys(queue),
            partitions => self.engine().keys(&part_name(queue, part_of(&member, partitions))),
        }
    }

    /// Closes a batch: it has all its members.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn close_batch(&self, queue: &str, batch: Uuid) -> Result<Batch, Error> {
        let keys = self.batch_keys(queue, batch)?;
        let mut close = scripts::BATCH.on(&keys);
        close.arg(batch_name(batch)).arg("close");
        let changed: u8 = scripts::call(&close, &mut self.engine().connection.clone()).await?;
        Ok(said(changed))
    }
}

fn said(changed: u8) -> Batch {
    if changed == 1 { Batch::Changed } else { Batch::Unchanged }
}
