//! What the benchmark shows while it runs: a line per step, living on a terminal and told now and then in a log.

use std::io::{IsTerminal, Write, stdout};
use std::pin::pin;
use std::time::{Duration, Instant};

/// A terminal's line is renewed this often.
const FRAME: Duration = Duration::from_millis(300);
const FRAMES: [char; 4] = ['◐', '◓', '◑', '◒'];
/// A log hears of a step after so many seconds, and then every ten.
const FIRST_WORD: u64 = 2;
const LATER_WORDS: u64 = 10;

/// A step with its own line.
#[derive(Debug)]
pub(crate) struct Step {
    text: String,
    began: Instant,
    told: u64,
    frame: usize,
}

impl Step {
    /// Begins a step.
    pub(crate) fn begin(text: impl Into<String>) -> Self {
        Self { text: text.into(), began: Instant::now(), told: 0, frame: 0 }
    }

    /// Waits for `work`, which is the part of the step that `detail` names.
    pub(crate) async fn during<T>(&mut self, detail: &str, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(FRAME) => self.progress(detail),
            }
        }
    }

    /// Ends the step well.
    pub(crate) fn tick(self, outcome: &str) {
        self.end('✓', outcome);
    }

    /// Ends the step badly.
    pub(crate) fn cross(self, outcome: &str) {
        self.end('✗', outcome);
    }

    fn end(self, mark: char, outcome: &str) {
        let seconds = format!("{:.1} s", self.began.elapsed().as_secs_f64());
        say(&format!("  {mark} {:<30} {seconds:>8}  {outcome}", self.text));
    }

    fn progress(&mut self, detail: &str) {
        let seconds = self.began.elapsed().as_secs();
        let text = &self.text;
        if stdout().is_terminal() {
            self.frame = (self.frame + 1) % FRAMES.len();
            show(&format!("\r  {} {text} {seconds} s · {detail}\x1b[K", FRAMES[self.frame]));
        } else if seconds > self.told && (seconds == FIRST_WORD || seconds.is_multiple_of(LATER_WORDS)) {
            self.told = seconds;
            say(&format!("  … {text}, {seconds} s · {detail}"));
        }
    }
}

/// Says that something is left out.
pub(crate) fn skip(text: &str) {
    say(&format!("  – {text}"));
}

/// Prints a line.
pub(crate) fn say(line: &str) {
    let clear = if stdout().is_terminal() { "\r\x1b[K" } else { "" };
    show(&format!("{clear}{line}\n"));
}

/// A screen that has gone away is no reason to stop.
fn show(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
