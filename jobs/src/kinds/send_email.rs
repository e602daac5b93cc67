//! Sends a student a mail. The payload holds ids; what the mail says is read when it is sent.

use std::time::Duration;

use askama::Template;
use bellwork_shared::attempts::Feedback;
use bellwork_shared::ids::{AttemptId, UserId};
use bellwork_shared::points::Points;
use bellwork_shared::practice_tests::Question;
use bellwork_shared::results::{self, GradedAttempt};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::context::{Context, Platform};
use crate::failure::Failure;
use crate::job::Job;
use crate::mailer::Letter;
use crate::queues::{EMAIL, Queue};
use crate::recording::Recording;

/// The payload: which mail goes to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendEmail {
    /// Who gets it.
    pub user_id: UserId,
    /// What it is about.
    pub mail: Mail,
}

/// The mails we send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mail {
    /// The result of an attempt.
    AttemptGraded {
        /// The attempt.
        attempt_id: AttemptId,
    },
}

impl Job for SendEmail {
    const KIND: &'static str = "send_email";
    const QUEUE: &'static Queue = &EMAIL;
    const TIMEOUT: Duration = Duration::from_secs(30);

    type Output = ();

    async fn run(&self, context: Context<'_>) -> Result<(), Failure> {
        let letter = match self.mail {
            Mail::AttemptGraded { attempt_id } => result_letter(context.platform, self.user_id, attempt_id).await?,
        };
        let Some(letter) = letter else {
            tracing::warn!(job = %context.job, "what the mail is about has vanished");
            return Ok(());
        };
        context.platform.mailer.send(context.job, &letter).await
    }

    async fn record(&self, (): (), _recording: &mut Recording<'_>) -> anyhow::Result<()> {
        Ok(())
    }
}

async fn result_letter(platform: &Platform, user: UserId, attempt: AttemptId) -> anyhow::Result<Option<Letter>> {
    let graded = results::find(&mut *platform.database.acquire().await?, user, attempt).await?;
    let Some(graded) = graded else { return Ok(None) };
    let Some(sheet) = platform.catalogue.taken(graded.taken()).await? else { return Ok(None) };
    let link = link(&platform.public_url, attempt);
    let lines = lines(&sheet.questions, &graded.feedback);
    let text = ResultText { graded: &graded, lines: &lines, link: &link }.render()?;
    let html = ResultHtml { graded: &graded, lines: &lines, link: &link, percent: percent(&graded) }.render()?;
    let subject = format!("{}: {} of {} points", graded.title, graded.score, graded.max_score);
    Ok(Some(Letter { to: graded.email, name: graded.display_name, subject, text, html }))
}

/// The answer to one question, as the letter shows it.
struct Line<'a> {
    number: usize,
    prompt: &'a str,
    earned: Points,
    points: Points,
    mark: &'static str,
    colour: &'static str,
    comment: &'a str,
}

#[derive(Template)]
#[template(path = "result.txt")]
struct ResultText<'a> {
    graded: &'a GradedAttempt,
    lines: &'a [Line<'a>],
    link: &'a Url,
}

#[derive(Template)]
#[template(path = "result.html")]
struct ResultHtml<'a> {
    graded: &'a GradedAttempt,
    lines: &'a [Line<'a>],
    link: &'a Url,
    percent: i32,
}

fn lines<'a>(questions: &'a [Question], feedback: &'a [Feedback]) -> Vec<Line<'a>> {
    let answered = questions.iter().enumerate().filter_map(|(index, question)| {
        let feedback = feedback.iter().find(|feedback| feedback.question_id == question.id)?;
        let (mark, colour) = match feedback.points {
            _ if feedback.correct => ("✓", "#15803d"),
            Points::ZERO => ("✗", "#b91c1c"),
            _ => ("~", "#b45309"),
        };
        let (prompt, comment) = (question.prompt.as_str(), feedback.comment.as_str());
        Some(Line {
            number: index + 1,
            prompt,
            earned: feedback.points,
            points: question.points,
            mark,
            colour,
            comment,
        })
    });
    answered.collect()
}

fn percent(graded: &GradedAttempt) -> i32 {
    100 * graded.score.0 / graded.max_score.0.max(1)
}

fn link(public_url: &Url, attempt: AttemptId) -> Url {
    let mut link = public_url.clone();
    if let Ok(mut segments) = link.path_segments_mut() {
        segments.pop_if_empty().extend(["api", "attempts", &attempt.to_string()]);
    }
    link
}

#[cfg(test)]
mod tests {
    use bellwork_shared::ids::JobId;
    use sqlx::PgPool;

    use super::*;
    use crate::kinds::grade_attempt::GradeAttempt;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, attempt, publish_test, register, responses};

    fn mail(user_id: UserId, attempt_id: AttemptId) -> SendEmail {
        SendEmail { user_id, mail: Mail::AttemptGraded { attempt_id } }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn the_letter_tells_the_result_and_escapes_what_others_wrote(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (user, test) = (register(&mut conn, "<Zoe>").await, publish_test(&mut conn).await);
        let written = responses("The mill failed and the market grew.", "The mill jammed.");
        let attempt_id = attempt(&mut conn, user, &test, written).await;
        let stage = Stage::new(&database, Marker::Rubric);
        stage.perform(&GradeAttempt { attempt_id }).await.unwrap();
        let letter = result_letter(&stage.platform, user, attempt_id).await.unwrap().unwrap();
        assert_eq!((letter.to.as_str(), letter.name.as_str()), ("<zoe>@home.test", "<Zoe>"));
        assert_eq!(letter.subject, "The harbour: 5 of 9 points");
        let text = format!(
            "Hello <Zoe>,

your test is graded: 5 of 9 points.

The harbour

✓ 1. Question 1?
  1 of 1. Right! So it is.

~ 2. Question 2?
  1 of 2. You found 1 of 2. The right choices are “Ann”, “Cid”. So it is.

✗ 3. Question 3?
  0 of 2. Not quite. The answer is 4. So it is.

✓ 4. Question 4?
  2 of 2. Very good, every key point is there. So it is.

~ 5. Question 5?
  1 of 2. You made 1 of 2 key points. Made: The mill was a failure. Missing: The market grew. So it is.

The whole result: https://school.test/practice/api/attempts/{attempt_id}

Good luck with the next one!
Bellwork"
        );
        assert_eq!(letter.text, text);
        assert!(letter.html.contains("Hello &#60;Zoe&#62;,"), "{}", letter.html);
        assert!(letter.html.contains(&format!("href=\"https://school.test/practice/api/attempts/{attempt_id}\"")));
        assert!(letter.html.contains("width=\"55%\""));
        assert_eq!(letter.html.matches("✓").count(), 2);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_second_run_sends_the_same_mail(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (user, test) = (register(&mut conn, "Zoe").await, publish_test(&mut conn).await);
        let attempt_id = attempt(&mut conn, user, &test, responses("", "")).await;
        let (stage, job) = (Stage::new(&database, Marker::Rubric), JobId::new());
        stage.perform(&GradeAttempt { attempt_id }).await.unwrap();
        for _ in 0..2 {
            stage.perform_as(job, Some(user), &mail(user, attempt_id)).await.unwrap();
        }
        let mails: Vec<_> = std::fs::read_dir(stage.mail.path()).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(mails, [stage.mail.path().join(format!("{job}.eml"))]);
        let sent = std::fs::read_to_string(&mails[0]).unwrap();
        assert!(
            sent.contains("To: Zoe <zoe@home.test>") && sent.contains(&format!("Message-ID: <{job}@school.test>")),
            "{sent}"
        );
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn what_has_vanished_or_is_not_graded_or_somebody_elses_is_a_success_without_a_mail(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (user, other, test) =
            (register(&mut conn, "Zoe").await, register(&mut conn, "Max").await, publish_test(&mut conn).await);
        let attempt_id = attempt(&mut conn, user, &test, []).await;
        let stage = Stage::new(&database, Marker::Rubric);
        stage.perform(&mail(user, attempt_id)).await.unwrap();
        stage.perform(&GradeAttempt { attempt_id }).await.unwrap();
        stage.perform(&mail(other, attempt_id)).await.unwrap();
        stage.perform(&mail(user, AttemptId::new())).await.unwrap();
        stage.perform(&mail(UserId::new(), attempt_id)).await.unwrap();
        assert_eq!(std::fs::read_dir(stage.mail.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_stored_shape_is_read() {
        let (user, attempt) = ("0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b", "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2c");
        let stored = format!(r#"{{"user_id":"{user}","mail":{{"attempt_graded":{{"attempt_id":"{attempt}"}}}}}}"#);
        let read: SendEmail = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, mail(user.parse().unwrap(), attempt.parse().unwrap()));
    }
}
