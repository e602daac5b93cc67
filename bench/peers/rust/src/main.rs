//! `bellwork-bench-peers PEER VERB …`: the peers that are written in Rust. `bench/src/peer/mod.rs` says what each verb means.

mod apalis;
mod bullmq_official;
mod protocol;

use anyhow::{Context, bail};

use crate::protocol::{Verb, say};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (peer, words) = words.split_first().context("which peer?")?;
    let verb = Verb::parse(words)?;
    let url = std::env::var("REDIS_URL").context("REDIS_URL is not set")?;
    let answer = match peer.as_str() {
        "apalis-redis" => apalis::answer(verb, &url).await?,
        "bullmq-official" => bullmq_official::answer(verb, &url).await?,
        other => bail!("{other} is not here"),
    };
    say(&answer)
}
