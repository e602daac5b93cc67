//! Where mail goes: an SMTP server, or files.

use std::path::PathBuf;

use url::Url;

use super::{ConfigError, Variables};

const MAIL_FROM: &str = "Bellwork <bellwork@localhost>";
const MAIL_DIR: &str = ".local/mail";

/// How mail leaves the house.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// The SMTP server, as `smtp://user:password@host:587?tls=required` or `smtps://…`; none: files.
    pub smtp_url: Option<Url>,
    /// The sender.
    pub from: String,
    /// Where `.eml` files are written without an SMTP server.
    pub dir: PathBuf,
}

impl MailConfig {
    /// Reads `SMTP_URL`, `MAIL_FROM` and `MAIL_DIR`.
    ///
    /// # Errors
    /// If one is wrong. Whether `MAIL_FROM` is an address is found when the mailer is built.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            smtp_url: variables.address("SMTP_URL", &["smtp", "smtps"])?,
            from: variables.optional("MAIL_FROM").unwrap_or(MAIL_FROM).to_owned(),
            dir: variables.optional("MAIL_DIR").unwrap_or(MAIL_DIR).into(),
        })
    }
}
