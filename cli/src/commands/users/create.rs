//! `bellwork users create`: makes an account.

use std::io::Read;

use anyhow::Context;
use bellwork_shared::passwords;
use bellwork_shared::users::{
    self, DisplayName, Email, MAX_PASSWORD, NewPassword, NewUser, Registration, Role, Unusable,
};
use clap::Args;
use rand::RngExt;

use crate::advice::{Misuse, advised};
use crate::screen::{Screen, Tone};
use crate::stores;

/// Without characters that are mistaken for each other. Four groups of five of them are 99 random bits.
const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
const GROUPS: usize = 4;
const GROUP_LENGTH: usize = 5;

/// Make an account. Unless the password comes on standard input, one is made up and shown once.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The address to log in with.
    email: String,
    /// Let the account see and steer every queue.
    #[arg(long)]
    admin: bool,
    /// The name that others see; by default what stands before the @.
    #[arg(long)]
    name: Option<String>,
    /// Read the password from standard input, up to the end of its first line.
    #[arg(long)]
    password_stdin: bool,
}

impl Create {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let email = usable(Email::parse(&self.email), &self.email)?;
        let name = self.name.as_deref().unwrap_or_else(|| local_part(&email));
        let name = usable(DisplayName::parse(name), name)?;
        let generated = (!self.password_stdin).then(generate_password);
        let password = match &generated {
            Some(password) => password.clone(),
            None => read_password(std::io::stdin().lock())?,
        };
        let password_hash = passwords::hash(&password)?;
        let role = if self.admin { Role::Admin } else { Role::Student };
        let new = NewUser { email: &email, display_name: &name, role, password_hash: &password_hash };
        let mut conn = stores::database()?.acquire().await.context("the account was not made")?;
        match users::insert(&mut conn, &new).await.context("the account was not made")? {
            Registration::New(user) => show(&user, generated.as_deref(), screen),
            Registration::EmailTaken => Err(taken(&email)),
        }
    }
}

fn show(user: &users::User, generated: Option<&str>, screen: &mut Screen) -> anyhow::Result<()> {
    screen.json(&serde_json::json!({ "user": user, "password": generated }))?;
    let role = if user.role == Role::Admin { "administrator" } else { "student" };
    let mark = screen.toned(Tone::Good, "✓");
    screen.say(format_args!("{mark} {} is {role} {}", user.email, user.id))?;
    if let Some(password) = generated {
        let password = screen.toned(Tone::Strong, password);
        screen.say(format_args!("  password  {password}   (shown this once)"))?;
    }
    Ok(())
}

fn taken(email: &Email) -> anyhow::Error {
    advised(format!("{} has an account already; nothing was changed.", email.as_str()), "Use another address.")
}

fn usable<T>(parsed: Result<T, Unusable>, text: &str) -> Result<T, Misuse> {
    parsed.map_err(|reason| Misuse(format!("\"{text}\" cannot be used: {reason}")))
}

fn local_part(email: &Email) -> &str {
    email.as_str().split_once('@').map_or("", |(local, _)| local)
}

fn read_password(input: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    // Two more bytes than a password has: the end of the line, and one to see that it is too long.
    let longest = u64::try_from(MAX_PASSWORD).unwrap_or(u64::MAX).saturating_add(2);
    input.take(longest).read_to_string(&mut text).context("the password cannot be read from standard input")?;
    let password = text.lines().next().unwrap_or_default();
    NewPassword::parse(password).map_err(|reason| Misuse(format!("The password cannot be used: {reason}")))?;
    Ok(password.to_owned())
}

/// A password that can be read aloud.
pub(crate) fn generate_password() -> String {
    let mut random = rand::rng();
    let mut letter = || char::from(LETTERS[random.random_range(0..LETTERS.len())]);
    let groups: Vec<String> = (0..GROUPS).map(|_| (0..GROUP_LENGTH).map(|_| letter()).collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_password_can_be_set_and_is_never_the_same() {
        let password = generate_password();
        assert_eq!(password.len(), 23);
        assert!(NewPassword::parse(&password).is_ok());
        assert_ne!(password, generate_password());
    }

    #[test]
    fn a_password_is_the_first_line_of_the_input() {
        assert_eq!(read_password(&b"long enough\nrest"[..]).unwrap(), "long enough");
        assert_eq!(read_password(&b" with blanks \r\n"[..]).unwrap(), " with blanks ");
        for wrong in [&b""[..], b"short\n", &[b'x'; 300]] {
            assert!(read_password(wrong).unwrap_err().is::<Misuse>());
        }
    }
}
