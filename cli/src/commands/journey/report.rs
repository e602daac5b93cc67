//! The journey as it is shown: a line per step with its time, the events as they arrive, the result as a table.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use bellwork_shared::answers::{Answer, Response};
use bellwork_shared::attempts::{Feedback, GradedBy};
use bellwork_shared::events::Progress;
use bellwork_shared::ids::UserId;
use bellwork_shared::notifications::Notification;
use bellwork_shared::points::Points;
use serde_json::Value;
use url::Url;

use super::api::{Attempt, Leaderboard, Profile, Question, Test};
use super::count;
use super::mailbox::Mail;
use super::waiting::{Arrival, Wait};
use crate::screen::{Screen, Tone, cell, number, shortened, table};

/// What is left of a line for texts beside marks, points, graders and gaps.
const TABLE_FRAME: usize = 40;
/// The least that is left of a text.
const MIN_TEXT: usize = 16;
/// Where the text of a step begins.
const LABELLED: usize = 16;
/// The times of steps stand in one column, not farther out than this.
const MAX_STEP_WIDTH: usize = 104;
/// How long the bar of the score is.
const BAR: i32 = 24;
const FRAMES: [char; 4] = ['◐', '◓', '◑', '◒'];

/// Shows a journey on a screen.
pub(super) struct Report<'a> {
    screen: &'a mut Screen,
    frame: usize,
}

impl<'a> Report<'a> {
    /// Shows where the journey goes.
    pub(super) fn begin(screen: &'a mut Screen, url: &Url) -> anyhow::Result<Self> {
        let (title, url) = (
            screen.toned(Tone::Strong, "A student's journey"),
            screen.toned(Tone::Faint, url.as_str().trim_end_matches('/')),
        );
        screen.say(format_args!("\n  {title}  {url}\n"))?;
        Ok(Self { screen, frame: 0 })
    }

    pub(super) fn registered(&mut self, student: &Profile, took: Duration) -> anyhow::Result<()> {
        self.step("registered", format_args!("{}, {}", student.display_name, student.email), took)
    }

    pub(super) fn chosen(&mut self, test: &Test, of: usize, took: Duration) -> anyhow::Result<()> {
        let (points, questions): (Points, _) = (test.questions.iter().map(|q| q.points).sum(), test.questions.len());
        let text = format!("{} · {questions} questions, {points} points, one of {of} tests", test.title);
        self.step("chose", text, took)
    }

    pub(super) fn listening(&mut self, took: Duration) -> anyhow::Result<()> {
        self.step("listening", "the event stream is open and said hello", took)
    }

    pub(super) fn answered(&mut self, answers: &[Answer]) -> anyhow::Result<()> {
        let choices = count(answers, |answer| matches!(answer.response, Response::ChoiceIds(_)));
        let numbers = count(answers, |answer| matches!(answer.response, Response::Number(_)));
        let texts = count(answers, |answer| matches!(answer.response, Response::Text(_)));
        let text = format!("{choices} by choice, {numbers} by number, {texts} in words");
        self.line(Tone::Good, '✓', "answered", text)?;
        let words = answers.iter().find_map(|answer| match &answer.response {
            Response::Text(text) => Some(text),
            _ => None,
        });
        words.map_or(Ok(()), |text| self.quotation(text))
    }

    pub(super) fn submitted(&mut self, wait: &Wait) -> anyhow::Result<()> {
        self.step("submitted", format_args!("202 Accepted, attempt {}", wait.accepted.id), wait.took)?;
        let heading = self.screen.toned(Tone::Faint, "since the submission");
        Ok(self.screen.say(format_args!("\n  {heading}"))?)
    }

    /// Shows that something takes its time; on a terminal only.
    pub(super) fn waiting(&mut self, what: &str, so_far: Duration) -> anyhow::Result<()> {
        self.frame = (self.frame + 1) % FRAMES.len();
        let seconds = self.screen.toned(Tone::Faint, format_args!("{:.1} s", so_far.as_secs_f64()));
        Ok(self.screen.living_line(format_args!("  {} waiting {what}  {seconds}", FRAMES[self.frame]))?)
    }

    pub(super) fn progress(&mut self, progress: &Progress, after: Duration) -> anyhow::Result<()> {
        let percent = self.screen.toned(Tone::Faint, format_args!("{:>3} %", progress.percent));
        self.event(after, "progress", format_args!("{percent}  {}", progress.message))
    }

    pub(super) fn notification(
        &mut self,
        notification: &Notification,
        ours: bool,
        after: Duration,
        id: &str,
    ) -> anyhow::Result<()> {
        let title = self.screen.toned(if ours { Tone::Good } else { Tone::Plain }, &notification.title);
        let id = self.screen.toned(Tone::Faint, format_args!("id {id}"));
        self.event(after, "notification", format_args!("{title}  {id}"))?;
        if !ours || notification.body.is_empty() {
            return Ok(());
        }
        let body = notification.body.replace('\n', " ");
        let body = self.screen.toned(Tone::Faint, shortened(&body, self.screen.width().saturating_sub(28)));
        Ok(self.screen.say(format_args!("{:28}{body}", ""))?)
    }

    pub(super) fn result(&mut self, test: &Test, attempt: &Attempt) -> anyhow::Result<()> {
        let feedback = attempt.feedback.as_deref().unwrap_or_default();
        let score = attempt.score.unwrap_or_default();
        let share = score.as_f64() / attempt.max_score.as_f64();
        let points = format!("{score} of {} points", attempt.max_score);
        let points = self.screen.toned(Tone::Strong, points);
        let (full, empty) = bar(share);
        let (full, empty) = (self.screen.toned(Tone::Good, full), self.screen.toned(Tone::Faint, empty));
        let tally = self.screen.toned(Tone::Faint, tally(feedback));
        self.screen.say(format_args!("\n  {points}  {full}{empty}  {:.0} %  {tally}\n", 100.0 * share))?;
        self.feedback(test, feedback)
    }

    fn feedback(&mut self, test: &Test, feedback: &[Feedback]) -> anyhow::Result<()> {
        let by_question: HashMap<_, _> = feedback.iter().map(|entry| (entry.question_id, entry)).collect();
        let room = self.screen.width().saturating_sub(TABLE_FRAME);
        let (prompt_room, comment_room) = ((room * 2 / 5).max(MIN_TEXT), (room * 3 / 5).max(MIN_TEXT));
        let mut rows = table(&["", "QUESTION", "POINTS", "GRADED BY", "COMMENT"]);
        for (place, question) in (1..).zip(&test.questions) {
            let Some(entry) = by_question.get(&question.id) else { continue };
            let (mark, tone) = mark(entry);
            rows.add_row([
                cell(mark, tone),
                cell(format_args!("{place:>2} {}", shortened(&question.prompt, prompt_room)), Tone::Plain),
                number(points(entry, question), tone),
                cell(grader(entry.graded_by), Tone::Faint),
                cell(shortened(&entry.comment, comment_room), Tone::Plain),
            ]);
        }
        Ok(self.screen.table(rows)?)
    }

    pub(super) fn ranking(&mut self, leaderboard: &Leaderboard, student: UserId) -> anyhow::Result<()> {
        let Some(me) = &leaderboard.me else {
            return self.line(Tone::Caution, '!', "ranking", "the leaderboard does not show this result yet");
        };
        let total = leaderboard.total;
        let text = format!("{} of {total}, percentile {}", me.rank, (me.percentile * 10.0).round() / 10.0);
        self.screen.say("")?;
        self.line(Tone::Good, '✓', "ranked", text)?;
        for entry in &leaderboard.entries {
            let row = format!("{:>20}  {:<24} {:>6}", entry.rank, shortened(&entry.user.display_name, 24), entry.score);
            let row = self.screen.toned(if entry.user.id == student { Tone::Plain } else { Tone::Faint }, row);
            self.screen.say(row)?;
        }
        Ok(())
    }

    pub(super) fn mail(&mut self, mail: Option<&Mail>, dir: &Path) -> anyhow::Result<()> {
        match mail {
            Some(mail) => {
                let file = self.screen.toned(Tone::Faint, mail.file.display());
                self.line(Tone::Good, '✓', "mailed", format_args!("{}  {file}", mail.subject))
            }
            None => {
                self.line(Tone::Caution, '!', "mail", format_args!("none to this student in {} yet", dir.display()))
            }
        }
    }

    pub(super) fn submitted_again(&mut self, is_the_same: bool, took: Duration) -> anyhow::Result<()> {
        if is_the_same {
            return self.step("sent again", "same Idempotency-Key, same attempt: nothing is graded twice", took);
        }
        self.line(Tone::Bad, '✗', "sent again", "the same Idempotency-Key made another attempt")
    }

    /// Answers programs, and closes the report for people.
    pub(super) fn end(&mut self, arrival: &Arrival, answer: &Value) -> anyhow::Result<()> {
        self.screen.json(answer)?;
        let after = milliseconds(arrival.notified);
        let line = format!("The result reached the student's screen {after} after the submission.");
        let line = self.screen.toned(Tone::Strong, line);
        Ok(self.screen.say(format_args!("\n  {line}\n"))?)
    }

    fn quotation(&mut self, text: &str) -> anyhow::Result<()> {
        let text = shortened(text, self.screen.width().saturating_sub(LABELLED + 4));
        let text = self.screen.toned(Tone::Faint, format_args!("“{text}”"));
        Ok(self.screen.say(format_args!("{:LABELLED$}{text}", ""))?)
    }

    fn step(&mut self, label: &str, text: impl Display, took: Duration) -> anyhow::Result<()> {
        let room = self.screen.width().min(MAX_STEP_WIDTH).saturating_sub(LABELLED + 10);
        let text = shortened(&text.to_string(), room);
        let took = format!("{:>8}", milliseconds(took));
        let took = self.screen.toned(Tone::Faint, took);
        self.line(Tone::Good, '✓', label, format_args!("{text:<room$} {took}"))
    }

    fn line(&mut self, tone: Tone, mark: char, label: &str, text: impl Display) -> anyhow::Result<()> {
        let mark = self.screen.toned(tone, mark);
        Ok(self.screen.say(format_args!("  {mark} {label:<11} {text}"))?)
    }

    fn event(&mut self, after: Duration, kind: &str, text: impl Display) -> anyhow::Result<()> {
        let after = format!("{:>9}", milliseconds(after));
        let after = self.screen.toned(Tone::Strong, after);
        Ok(self.screen.say(format_args!("  {after}  {kind:<13} {text}"))?)
    }
}

fn milliseconds(span: Duration) -> String {
    format!("{:.0} ms", span.as_secs_f64() * 1000.0)
}

fn mark(entry: &Feedback) -> (char, Tone) {
    match entry.points {
        _ if entry.correct => ('✓', Tone::Good),
        Points::ZERO => ('✗', Tone::Bad),
        _ => ('◐', Tone::Caution),
    }
}

/// The full and the empty part of a bar.
fn bar(share: f64) -> (String, String) {
    let cells = Points(BAR).share(share).0;
    let draw = |cell: &str, count: i32| cell.repeat(count.unsigned_abs() as usize);
    (draw("█", cells), draw("░", BAR - cells))
}

fn tally(feedback: &[Feedback]) -> String {
    let right = feedback.iter().filter(|entry| entry.correct).count();
    let wrong = feedback.iter().filter(|entry| !entry.correct && entry.points == Points::ZERO).count();
    format!("{right} right, {} in part, {wrong} wrong", feedback.len() - right - wrong)
}

fn points(entry: &Feedback, question: &Question) -> String {
    format!("{} / {}", entry.points, question.points)
}

fn grader(graded_by: GradedBy) -> &'static str {
    match graded_by {
        GradedBy::Exact => "exact",
        GradedBy::Rubric => "rubric",
        GradedBy::Ai => "ai",
    }
}
