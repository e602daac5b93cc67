//! What a model writes, on its way to the student while it writes: a few events a second, never a reason to fail.

use std::time::Duration;

use bellwork_shared::ids::UserId;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::prose::Prose;
use crate::context::{Context, Note};

/// At most ten events a second.
const PAUSE: Duration = Duration::from_millis(100);
/// So soon an event that is still on its way is looked at again.
const RECHECK: Duration = Duration::from_millis(20);
/// An event carries no more text than this; the rest comes with the next.
const LONGEST_PIECE: usize = 2000;
/// A student is not told more than this of one job, in characters.
const LONGEST_TEXT: usize = 60_000;
/// Writing is shown as this part of the work, in percent.
const SHARE: std::ops::RangeInclusive<usize> = 5..=95;

/// Tells the submitter of a job what a model writes.
#[derive(Debug)]
pub(crate) struct Live {
    note: Note,
    user: Option<UserId>,
    prose: Prose,
    /// Characters in a usual answer, for the share that is done.
    usual: usize,
    told: usize,
    unsent: String,
    /// When the next event may go.
    next: Instant,
    under_way: Option<JoinHandle<()>>,
}

impl Live {
    /// Of the fields of the answer that a person can read.
    pub(crate) fn new(context: &Context<'_>, fields: &'static [&'static str], usual: usize) -> Self {
        Self {
            note: context.note(),
            user: context.submitter,
            prose: Prose::of(fields),
            usual: usual.max(1),
            told: 0,
            unsent: String::new(),
            next: Instant::now(),
            under_way: None,
        }
    }

    /// Hears what the model has just written.
    pub(super) fn hear(&mut self, piece: &str) {
        let prose = self.prose.read(piece);
        if self.user.is_some() && self.told + self.unsent.len() < LONGEST_TEXT {
            self.unsent.push_str(&prose);
        }
        self.tell();
    }

    /// When there is something to tell, if nothing more is heard.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.unsent.is_empty()).then(|| self.next.max(Instant::now() + RECHECK))
    }

    /// Tells what was heard, unless it is too soon, or the last event is still on its way.
    pub(super) fn tell(&mut self) {
        let now = Instant::now();
        let busy = self.under_way.as_ref().is_some_and(|event| !event.is_finished());
        if self.unsent.is_empty() || now < self.next || busy {
            return;
        }
        self.next = now + PAUSE;
        let event = self.event();
        self.under_way = Some(tokio::spawn(event));
    }

    fn event(&mut self) -> impl Future<Output = ()> + use<> {
        let end = self.unsent.char_indices().nth(LONGEST_PIECE).map_or(self.unsent.len(), |(end, _)| end);
        let rest = self.unsent.split_off(end);
        let text = std::mem::replace(&mut self.unsent, rest);
        self.told += text.len();
        let (from, to) = SHARE.into_inner();
        let percent = (from + (to - from) * self.told / self.usual).min(to);
        let note = self.note.clone();
        async move { note.tell(u8::try_from(percent).unwrap_or(100), "Writing", Some(text)).await }
    }

    /// Tells the rest.
    pub(crate) async fn finish(&mut self) {
        loop {
            if let Some(event) = self.under_way.take() {
                // An event that went wrong was logged where it did.
                let _ = event.await;
            }
            if self.unsent.is_empty() {
                return;
            }
            self.event().await;
        }
    }
}
