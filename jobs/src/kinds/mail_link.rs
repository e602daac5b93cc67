//! Mails a user a one-time link. The payload holds no token: the link is made when the job runs, stands in its row until
//! the mail has left, and is the same for a second run.

use std::time::Duration;

use askama::Template;
use bellwork_queue::Priority;
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::mailed_links::{self, Making, Purpose};
use bellwork_shared::personal_data::erasure;
use bellwork_shared::tokens::Token;
use bellwork_shared::users::{self, User};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use url::Url;

use crate::context::{Context, Platform};
use crate::failure::Failure;
use crate::job::Job;
use crate::mailer::Letter;
use crate::queues::{EMAIL, Queue};
use crate::recording::Recording;

/// The payload: which link goes to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailLink {
    /// Who gets it.
    pub user_id: UserId,
    /// What it is for.
    pub link: Link,
}

/// The links we mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// To show that the address is the user's.
    VerifyEmail,
    /// To choose a new password.
    ResetPassword,
}

impl Job for MailLink {
    const KIND: &'static str = "mail_link";
    const QUEUE: &'static Queue = &EMAIL;
    /// Somebody sits and waits for it.
    const PRIORITY: Priority = Priority::High;
    const TIMEOUT: Duration = Duration::from_secs(30);

    type Output = ();

    async fn run(&self, context: Context<'_>) -> Result<(), Failure> {
        match self.letter(context.platform, context.job).await? {
            Some(letter) => context.platform.mailer.send(context.job, &letter).await,
            None => Ok(()),
        }
    }

    async fn record(&self, (): (), recording: &mut Recording<'_>) -> anyhow::Result<()> {
        self.forget_token(recording).await
    }

    async fn buried(&self, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        self.forget_token(recording).await
    }
}

impl MailLink {
    /// The letter, unless there is nothing to be said: the user is gone, the address is verified, or the link is outdated.
    async fn letter(&self, platform: &Platform, job: JobId) -> anyhow::Result<Option<Letter>> {
        let mut conn = platform.database.acquire().await?;
        let user = users::find(&mut conn, self.user_id).await?;
        let Some(user) = user.filter(|user| self.link != Link::VerifyEmail || !user.email_verified) else {
            return Ok(None);
        };
        match make(&mut conn, &user, self.link.purpose(), job).await? {
            Making::Made(token) => {
                Ok(Some(letter(&user, self.link, &address(&platform.public_url, self.link, token))?))
            }
            Making::NotNeeded => Ok(None),
        }
    }

    async fn forget_token(&self, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let job = recording.job;
        let transaction = recording.transaction().await?;
        erasure::hold_off(&mut *transaction, self.user_id).await?;
        Ok(mailed_links::forget_token(transaction, self.user_id, self.link.purpose(), job).await?)
    }
}

/// A user that is erased at this moment gets no link.
async fn make(conn: &mut PgConnection, user: &User, purpose: Purpose, job: JobId) -> sqlx::Result<Making> {
    match mailed_links::make(conn, user.id, purpose, job).await {
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => Ok(Making::NotNeeded),
        made => made,
    }
}

impl Link {
    fn purpose(self) -> Purpose {
        match self {
            Self::VerifyEmail => Purpose::VerifyEmail,
            Self::ResetPassword => Purpose::ResetPassword,
        }
    }

    /// The page that does what the link is for.
    fn page(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify-email",
            Self::ResetPassword => "reset-password",
        }
    }

    fn words(self) -> Words {
        match self {
            Self::VerifyEmail => Words {
                subject: "Is this your address?",
                sentence: "somebody, we think you, has registered with Bellwork under this address. \
                           Please show that it is yours.",
                button: "It is my address",
                otherwise: "If it was not you, leave this mail alone.",
            },
            Self::ResetPassword => Words {
                subject: "A new password",
                sentence: "somebody, we think you, has forgotten the password of this address. \
                           Here you choose a new one.",
                button: "Choose a new password",
                otherwise: "If it was not you, leave this mail alone: the old password stays.",
            },
        }
    }
}

/// What a letter says beside the link.
struct Words {
    subject: &'static str,
    sentence: &'static str,
    button: &'static str,
    otherwise: &'static str,
}

#[derive(Template)]
#[template(path = "link.txt")]
struct LinkText<'a> {
    name: &'a str,
    words: &'a Words,
    link: &'a Url,
    until: &'a str,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkHtml<'a> {
    name: &'a str,
    words: &'a Words,
    link: &'a Url,
    until: &'a str,
}

fn letter(user: &User, link: Link, address: &Url) -> anyhow::Result<Letter> {
    let (name, words) = (user.display_name.as_str(), &link.words());
    let until = (Utc::now() + link.purpose().lifetime()).format("%-d %B, %H:%M").to_string();
    let text = LinkText { name, words, link: address, until: &until }.render()?;
    let html = LinkHtml { name, words, link: address, until: &until }.render()?;
    Ok(Letter { to: user.email.clone(), name: name.to_owned(), subject: words.subject.to_owned(), text, html })
}

/// The token stands in the fragment, which browsers send to no server: neither a log nor a referrer has it.
fn address(public_url: &Url, link: Link, token: Token) -> Url {
    let mut address = public_url.clone();
    if let Ok(mut segments) = address.path_segments_mut() {
        segments.pop_if_empty().extend(["api", "auth", link.page()]);
    }
    address.set_fragment(Some(&format!("token={}", token.reveal())));
    address
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, register};

    fn mail(user_id: UserId, link: Link) -> MailLink {
        MailLink { user_id, link }
    }

    fn token_in(text: &str) -> Token {
        let token = text.split("#token=").nth(1).expect("the letter holds a link");
        Token::parse(token.split_whitespace().next().unwrap()).unwrap()
    }

    async fn is_stored(database: &PgPool) -> bool {
        let stored = "select exists (select from mailed_links where token is not null)";
        sqlx::query_scalar(stored).fetch_one(database).await.unwrap()
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_second_run_mails_the_same_link_and_no_token_stays(database: PgPool) {
        let user = register(&mut database.acquire().await.unwrap(), "Zoe").await;
        sqlx::query("update users set display_name = '<Zoe>'").execute(&database).await.unwrap();
        let (stage, job, mail) = (Stage::new(&database, Marker::Rubric), JobId::new(), mail(user, Link::ResetPassword));
        let first = mail.letter(&stage.platform, job).await.unwrap().unwrap();
        let again = mail.letter(&stage.platform, job).await.unwrap().unwrap();
        assert_eq!(token_in(&first.text), token_in(&again.text));
        assert!(first.text.contains("Hello <Zoe>,\n"), "{}", first.text);
        assert!(first.text.contains("\nhttps://school.test/practice/api/auth/reset-password#token="), "{}", first.text);
        assert!(first.html.contains("Hello &#60;Zoe&#62;,"), "{}", first.html);
        assert!(is_stored(&database).await);
        stage.perform_as(job, None, &mail).await.unwrap();
        assert!(!is_stored(&database).await);
        assert!(mail.letter(&stage.platform, job).await.unwrap().is_none(), "its mail has left");
        let mut conn = database.acquire().await.unwrap();
        let used = mailed_links::use_up(&mut conn, Purpose::ResetPassword, token_in(&first.text)).await.unwrap();
        assert_eq!(used, Some(user));
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_new_link_voids_the_old_one_and_an_old_job_makes_none(database: PgPool) {
        let user = register(&mut database.acquire().await.unwrap(), "Zoe").await;
        let (stage, mail) = (Stage::new(&database, Marker::Rubric), mail(user, Link::VerifyEmail));
        let (older, newer) = (JobId::new(), JobId::new());
        let old = mail.letter(&stage.platform, older).await.unwrap().unwrap();
        let new = mail.letter(&stage.platform, newer).await.unwrap().unwrap();
        assert!(mail.letter(&stage.platform, older).await.unwrap().is_none());
        let mut conn = database.acquire().await.unwrap();
        let mut use_up = async |purpose, letter: &Letter| {
            mailed_links::use_up(&mut conn, purpose, token_in(&letter.text)).await.unwrap()
        };
        assert_eq!(use_up(Purpose::VerifyEmail, &old).await, None);
        assert_eq!(use_up(Purpose::ResetPassword, &new).await, None, "it is for another purpose");
        assert_eq!(use_up(Purpose::VerifyEmail, &new).await, Some(user));
        assert_eq!(use_up(Purpose::VerifyEmail, &new).await, None);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn nobody_can_fill_anothers_mailbox(database: PgPool) {
        let user = register(&mut database.acquire().await.unwrap(), "Zoe").await;
        let (stage, mail) = (Stage::new(&database, Marker::Rubric), mail(user, Link::ResetPassword));
        let mut letters = 0;
        for _ in 0..10 {
            letters += i16::from(mail.letter(&stage.platform, JobId::new()).await.unwrap().is_some());
        }
        assert_eq!(letters, mailed_links::MAX_SENDS);
        sqlx::query("update mailed_links set counted_from = now() - interval '61 minutes'")
            .execute(&database)
            .await
            .unwrap();
        assert!(mail.letter(&stage.platform, JobId::new()).await.unwrap().is_some());
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn who_is_verified_or_gone_gets_nothing(database: PgPool) {
        let user = register(&mut database.acquire().await.unwrap(), "Zoe").await;
        sqlx::query("update users set email_verified_at = now()").execute(&database).await.unwrap();
        let stage = Stage::new(&database, Marker::Rubric);
        for mail in [mail(user, Link::VerifyEmail), mail(UserId::new(), Link::ResetPassword)] {
            stage.perform(&mail).await.unwrap();
        }
        assert_eq!(std::fs::read_dir(stage.mail.path()).unwrap().count(), 0);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_link_whose_mail_was_given_up_keeps_no_token(database: PgPool) {
        let user = register(&mut database.acquire().await.unwrap(), "Zoe").await;
        let (stage, mail) = (Stage::new(&database, Marker::Rubric), mail(user, Link::ResetPassword));
        let job = JobId::new();
        mail.letter(&stage.platform, job).await.unwrap().unwrap();
        stage.bury_as(job, &mail).await;
        assert!(!is_stored(&database).await);
    }

    #[test]
    fn the_stored_shape_is_read() {
        let user = "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";
        let stored = format!(r#"{{"user_id":"{user}","link":"reset_password"}}"#);
        let read: MailLink = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, mail(user.parse().unwrap(), Link::ResetPassword));
    }
}
