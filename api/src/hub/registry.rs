//! Who listens: the streams of this process by student.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwork_shared::ids::{SessionId, UserId};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::{Reason, SeatId, Signal};

/// Streams that a student may have here: some tabs and a telephone. With one more, the oldest ends.
const STREAMS_PER_USER: usize = 6;
/// The label of the streams' gauge.
pub(super) const TRANSPORT: &str = "sse";

/// A stream, as its signals reach it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) id: SeatId,
    pub(super) session: SessionId,
    pub(super) signals: mpsc::Sender<Arc<Signal>>,
}

/// A student who has streams here.
#[derive(Debug, Default)]
struct Listener {
    /// The oldest first.
    seats: Vec<Seat>,
    /// The highest number that all seats were told of, so that they are not woken for what they know.
    told: i64,
}

/// The streams of this process by student.
#[derive(Debug, Default)]
pub(super) struct Registry {
    users: HashMap<UserId, Listener>,
    count: usize,
    /// Set at a stop: streams that come later end within the same window.
    draining: Option<Duration>,
}

impl Registry {
    /// How many streams there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// True if `user` has a stream.
    pub(super) fn has(&self, user: UserId) -> bool {
        self.users.contains_key(&user)
    }

    /// The students who have streams.
    pub(super) fn users(&self) -> impl Iterator<Item = UserId> + '_ {
        self.users.keys().copied()
    }

    /// Each stream's student and session.
    pub(super) fn roll(&self) -> Vec<(UserId, SessionId)> {
        let of = |(user, listener): (&UserId, &Listener)| {
            listener.seats.iter().map(|seat| (*user, seat.session)).collect::<Vec<_>>()
        };
        self.users.iter().flat_map(of).collect()
    }

    /// Adds a stream; the oldest of too many ends.
    pub(super) fn add(&mut self, user: UserId, seat: Seat) {
        if let Some(window) = self.draining {
            let _ = seat.signals.try_send(Arc::new(Signal::Drain(window)));
        }
        let seats = &mut self.users.entry(user).or_default().seats;
        seats.push(seat);
        self.count += 1;
        metrics::gauge!("bellwork_streams", "transport" => TRANSPORT).increment(1);
        if seats.len() > STREAMS_PER_USER {
            let oldest = seats[0].id;
            self.end_where(user, Reason::Evicted, |seat| seat.id == oldest);
        }
    }

    /// Removes a stream that has ended by itself. Nothing if it was ended from here.
    pub(super) fn remove(&mut self, user: UserId, id: SeatId, reason: Reason) {
        self.close_where(user, |seat| (seat.id == id).then_some(reason));
    }

    /// Ends the streams of a session.
    pub(super) fn end_session(&mut self, user: UserId, session: SessionId) {
        self.end_where(user, Reason::Session, |seat| seat.session == session);
    }

    /// Tells the streams of `user`. One whose queue is full is not read by its client: it is cut off. Progress, of which
    /// there is much while models write, is left out before that: it never takes the place of a notification.
    pub(super) fn deliver(&mut self, user: UserId, signal: &Arc<Signal>) {
        let can_be_left_out = matches!(**signal, Signal::Progress(_));
        self.close_where(user, |seat| {
            if can_be_left_out && seat.signals.capacity() <= seat.signals.max_capacity() / 2 {
                metrics::counter!("bellwork_stream_progress_dropped_total").increment(1);
                return None;
            }
            match seat.signals.try_send(Arc::clone(signal)) {
                Ok(()) => None,
                Err(TrySendError::Full(_)) => Some(Reason::Slow),
                Err(TrySendError::Closed(_)) => Some(Reason::Client),
            }
        });
        if let (Some(listener), Signal::Notification { seq, .. }) = (self.users.get_mut(&user), &**signal) {
            listener.told = listener.told.max(*seq);
        }
    }

    /// Tells the streams of `user` where PostgreSQL stands, unless they know. One whose queue is full is told again.
    pub(super) fn position(&mut self, user: UserId, seq: i64) {
        let Some(listener) = self.users.get_mut(&user).filter(|listener| listener.told < seq) else { return };
        let signal = Arc::new(Signal::Position(seq));
        let failed = listener.seats.iter().filter(|seat| seat.signals.try_send(Arc::clone(&signal)).is_err()).count();
        if failed == 0 {
            listener.told = seq;
        }
    }

    /// Tells all streams, and those to come, to end within `window`.
    pub(super) fn drain(&mut self, window: Duration) {
        self.draining = Some(window);
        let signal = Arc::new(Signal::Drain(window));
        let users: Vec<_> = self.users().collect();
        for user in users {
            self.deliver(user, &signal);
        }
    }

    fn end_where(&mut self, user: UserId, reason: Reason, chosen: impl Fn(&Seat) -> bool) {
        self.close_where(user, |seat| {
            let ends = chosen(seat);
            if ends {
                let _ = seat.signals.try_send(Arc::new(Signal::End(reason)));
            }
            ends.then_some(reason)
        });
    }

    /// Removes the streams of `user` for which `closed` gives a reason, and counts them. Their queues end with that.
    fn close_where(&mut self, user: UserId, closed: impl Fn(&Seat) -> Option<Reason>) {
        let Some(Listener { seats, .. }) = self.users.get_mut(&user) else { return };
        let before = seats.len();
        seats.retain(|seat| match closed(seat) {
            None => true,
            Some(reason) => {
                metrics::gauge!("bellwork_streams", "transport" => TRANSPORT).decrement(1);
                metrics::counter!("bellwork_stream_closed_total", "reason" => reason.name()).increment(1);
                false
            }
        });
        self.count -= before - seats.len();
        if seats.is_empty() {
            self.users.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(id: u64) -> (Seat, mpsc::Receiver<Arc<Signal>>) {
        let (signals, received) = mpsc::channel(1);
        (Seat { id: SeatId(id), session: SessionId::new(), signals }, received)
    }

    #[test]
    fn with_one_stream_too_many_the_oldest_ends() {
        let (mut registry, user) = (Registry::default(), UserId::new());
        let mut received: Vec<_> = (0..=STREAMS_PER_USER as u64)
            .map(|id| {
                let (seat, received) = seat(id);
                registry.add(user, seat);
                received
            })
            .collect();
        assert_eq!(registry.count(), STREAMS_PER_USER);
        assert!(matches!(*received[0].try_recv().unwrap(), Signal::End(Reason::Evicted)));
        assert!(received[0].is_closed() && !received[1].is_closed());
    }

    #[test]
    fn a_stream_that_is_not_read_is_cut_off_and_others_go_on() {
        let (mut registry, user) = (Registry::default(), UserId::new());
        let ((slow, _slow), (quick, mut quick_received)) = (seat(1), seat(2));
        registry.add(user, slow);
        registry.add(user, quick);
        for seq in 1..=3 {
            registry.deliver(user, &Arc::new(Signal::Position(seq)));
            assert!(matches!(*quick_received.try_recv().unwrap(), Signal::Position(got) if got == seq));
        }
        assert_eq!(registry.roll().len(), 1);
    }

    #[test]
    fn progress_fills_half_a_queue_and_cuts_nobody_off() {
        let (mut registry, user) = (Registry::default(), UserId::new());
        let (signals, mut received) = mpsc::channel(4);
        registry.add(user, Seat { id: SeatId(1), session: SessionId::new(), signals });
        for _ in 0..10 {
            registry.deliver(user, &Arc::new(Signal::Progress(bytes::Bytes::new())));
        }
        registry.deliver(user, &Arc::new(Signal::Position(1)));
        assert_eq!((registry.count(), received.len()), (1, 3));
        assert!(matches!(*received.try_recv().unwrap(), Signal::Progress(_)));
    }

    #[test]
    fn a_stream_is_not_woken_for_a_position_that_it_knows() {
        let (mut registry, user) = (Registry::default(), UserId::new());
        let (seat, mut received) = seat(1);
        registry.add(user, seat);
        registry.position(user, 3);
        registry.position(user, 4);
        assert!(matches!(*received.try_recv().unwrap(), Signal::Position(3)), "the queue was full for 4");
        assert!(received.try_recv().is_err());
        registry.position(user, 4);
        assert!(matches!(*received.try_recv().unwrap(), Signal::Position(4)));
        registry.position(user, 4);
        assert!(received.try_recv().is_err());
    }

    #[test]
    fn a_student_without_streams_is_forgotten() {
        let (mut registry, user) = (Registry::default(), UserId::new());
        let (seat, _received) = seat(1);
        let session = seat.session;
        registry.add(user, seat);
        registry.end_session(user, SessionId::new());
        assert!(registry.has(user));
        registry.end_session(user, session);
        assert!(!registry.has(user));
        registry.remove(user, SeatId(1), Reason::Client);
        assert_eq!(registry.count(), 0);
    }
}
