//! The sliding window: requests counted in tenths of it, the oldest counted whole.
//!
//! An exact window needs the time of every request. The usual counter of two whole windows lets up to twice the quota pass in
//! an unlucky window, and so does GCRA with a burst of the quota. Here the counted buckets always cover the window and at
//! most a tenth more, so that the error has one side only: never more than the quota in any window, and whoever is refused
//! has used it up within the last 1.1 windows. Counts of several processes simply add up.

/// Buckets in which a window is counted.
pub(crate) const BUCKETS: u64 = 10;
/// Buckets that cover a window wherever it begins.
const LIVE: usize = BUCKETS as usize + 1;

/// Requests by bucket, up to the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    newest: u64,
    /// The count of bucket `b` stands at `b` modulo the length.
    counts: [u32; LIVE],
}

impl Window {
    /// Forgets what is older than a window at `bucket`. A clock that goes back changes nothing.
    pub(crate) fn advance(&mut self, bucket: u64) {
        if bucket >= self.newest + LIVE as u64 {
            self.counts = [0; LIVE];
        } else {
            for gone in self.newest + 1..=bucket {
                self.counts[place(gone)] = 0;
            }
        }
        self.newest = self.newest.max(bucket);
    }

    /// Counts `requests` in the newest bucket.
    pub(crate) fn add(&mut self, requests: u32) {
        let count = &mut self.counts[place(self.newest)];
        *count = count.saturating_add(requests);
    }

    /// Takes one request back out of the newest bucket.
    pub(crate) fn take_back(&mut self) {
        let count = &mut self.counts[place(self.newest)];
        *count = count.saturating_sub(1);
    }

    /// Knows that there were at least `requests` in `bucket`.
    pub(crate) fn learn(&mut self, bucket: u64, requests: u32) {
        self.advance(bucket);
        if bucket + LIVE as u64 > self.newest {
            let count = &mut self.counts[place(bucket)];
            *count = requests.max(*count);
        }
    }

    /// All that is counted.
    pub(crate) fn total(&self) -> u32 {
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    /// With the counts of `other` added.
    pub(crate) fn plus(mut self, mut other: Self) -> Self {
        self.advance(other.newest);
        other.advance(self.newest);
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self
    }

    /// The first bucket at which fewer than `quota` are counted and fewer than now, if nothing more comes.
    pub(crate) fn opens(&self, quota: u32) -> u64 {
        let mut left = self.total();
        let wanted = quota.min(left);
        for bucket in self.newest.saturating_sub(BUCKETS)..=self.newest {
            left -= self.counts[place(bucket)];
            if left < wanted {
                return bucket + LIVE as u64;
            }
        }
        self.newest
    }
}

fn place(bucket: u64) -> usize {
    (bucket % LIVE as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A bucket of the window under test, in milliseconds.
    const WIDTH: u64 = 100;
    const WINDOW: u64 = WIDTH * BUCKETS;

    /// The times of those of `asked` that pass, as the window has it.
    fn admitted(asked: &[u64], quota: u32) -> Vec<u64> {
        let mut window = Window::default();
        let mut passed = Vec::new();
        for &time in asked {
            window.advance(time / WIDTH);
            if window.total() < quota {
                window.add(1);
                passed.push(time);
            }
        }
        passed
    }

    fn times() -> impl Strategy<Value = Vec<u64>> {
        let gap = prop_oneof![4 => Just(0), 4 => 0..WIDTH, 2 => 0..3 * WIDTH, 1 => 0..3 * WINDOW];
        proptest::collection::vec(gap, 1..400).prop_map(|gaps| {
            let later = gaps.into_iter().scan(5 * WINDOW, |time, gap| {
                *time += gap;
                Some(*time)
            });
            later.collect()
        })
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_quota(asked in times(), quota in 1_u32..30) {
            let passed = admitted(&asked, quota);
            for (first, last) in passed.iter().zip(passed.iter().skip(quota as usize)) {
                prop_assert!(last - first >= WINDOW, "{} requests in {} ms", quota + 1, last - first);
            }
        }

        #[test]
        fn who_is_refused_has_used_the_quota_within_a_tenth_more_than_a_window(asked in times(), quota in 1_u32..30) {
            let passed = admitted(&asked, quota);
            let mut passed_so_far = Vec::new();
            let mut next = passed.iter().copied().peekable();
            for time in asked {
                if next.next_if_eq(&time).is_some() {
                    passed_so_far.push(time);
                    continue;
                }
                let recent = passed_so_far.iter().filter(|passed| time - **passed < WINDOW + WIDTH).count();
                prop_assert!(recent >= quota as usize, "refused with {recent} of {quota}");
            }
        }

        #[test]
        fn it_opens_when_it_says(asked in times(), quota in 1_u32..30) {
            let mut window = Window::default();
            for time in asked {
                window.advance(time / WIDTH);
                window.add(1);
            }
            let (opens, before) = (window.opens(quota), window.total());
            let at = |bucket| { let mut then = window; then.advance(bucket); then.total() };
            prop_assert!(at(opens) < quota.min(before));
            prop_assert!(at(opens - 1) >= quota.min(before));
        }

        #[test]
        fn the_counts_of_two_processes_add_up(ours in times(), theirs in times()) {
            let counted = |times: &[u64]| times.iter().fold(Window::default(), |mut window, time| {
                window.advance(time / WIDTH);
                window.add(1);
                window
            });
            let mut both = [ours.clone(), theirs.clone()].concat();
            both.sort_unstable();
            prop_assert_eq!(counted(&ours).plus(counted(&theirs)), counted(&both));
        }
    }

    #[test]
    fn what_is_learned_twice_counts_once() {
        let mut window = Window::default();
        for (bucket, requests) in [(20, 3), (21, 1), (20, 3), (20, 2), (9, 50)] {
            window.learn(bucket, requests);
        }
        assert_eq!(window.total(), 4);
    }
}
