//! `bellwork`: the operator's command line.
//!
//! Ends with 0 if it was done, 1 if it could not be done, and 2 if it was asked for wrongly.

mod advice;
mod ages;
mod commands;
mod screen;
mod stores;

use std::process::ExitCode;

use bellwork_shared::config::log::LogConfig;
use bellwork_shared::config::{ConfigError, Variables};
use bellwork_shared::telemetry;
use clap::Parser;

use commands::Command;
use screen::Screen;

/// Steers a Bellwork installation.
#[derive(Debug, Parser)]
#[command(name = "bellwork", version, propagate_version = true, after_help = AFTER_HELP)]
struct Arguments {
    /// Answer in JSON on standard output; words for people go to standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
DATABASE_URL and REDIS_URL say which installation; .env.sample documents all variables.
Ends with 0 if it was done, 1 if it could not be done, and 2 if it was asked for wrongly.";

/// Only what an operator must see beside the command's own words; `LOG` shows more.
const LOG_FILTER: &str = "warn";
/// The exit code of who was asked wrongly.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error),
    };
    let mut screen = Screen::of_process(arguments.json, &Variables::of_process());
    match run(arguments.command, &mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => advice::report(&error, &mut screen),
    }
}

/// Help and versions are answers; anything else was asked for wrongly, and a program is told so, too.
fn refused(error: &clap::Error) -> ExitCode {
    let asked_for = !error.use_stderr();
    let json = std::env::args().any(|argument| argument == "--json");
    let mut screen = Screen::of_process(json && !asked_for, &Variables::of_process());
    // Nobody is left to be told.
    let _ = screen.json(&serde_json::json!({ "error": error.to_string().trim(), "next": "bellwork --help" }));
    let _ = error.print();
    ExitCode::from(if asked_for { 0 } else { WRONG_USAGE })
}

fn run(command: Command, screen: &mut Screen) -> anyhow::Result<()> {
    telemetry::start_log(&log_config()?)?;
    telemetry::install_tls();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command.run(screen))
}

fn log_config() -> Result<LogConfig, ConfigError> {
    let variables = Variables::of_process();
    let mut config = LogConfig::read(&variables)?;
    if variables.optional("LOG").is_none() {
        LOG_FILTER.clone_into(&mut config.filter);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
