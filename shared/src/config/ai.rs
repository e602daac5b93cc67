//! The chat-completions server that grades free text and writes study aids, if one is configured, and what it may cost.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::variables::invalid;
use super::{ConfigError, Variables};

const MODEL: &str = "gpt-4o-mini";
const TIMEOUT_SECONDS: u64 = 60;
/// The job that grades may take two minutes: one call must end before.
const LONGEST_TIMEOUT_SECONDS: u64 = 110;

/// Millionths of the currency in one unit of it.
const MICROS: f64 = 1e6;
/// A price or budget above this is a slip of the keyboard; sums of them stay far from overflow.
const LARGEST_AMOUNT: f64 = 1e6;

/// Any server with OpenAI's chat-completions interface.
#[derive(Clone, Debug)]
pub struct AiConfig {
    /// The server; without it built-in rules grade free text and make study aids.
    pub server: Option<AiServer>,
    /// What may be spent in a day.
    pub budget: DailyBudget,
}

/// What may be spent in a day (UTC), in millionths of the currency. None: as much as there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DailyBudget {
    /// By one student, on study aids. Marking is counted, and never refused.
    pub per_user: Option<i64>,
    /// By the whole installation.
    pub in_all: Option<i64>,
}

/// What a model costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Millionths of the currency for a million tokens read.
    pub prompt: i64,
    /// Millionths of the currency for a million tokens written.
    pub completion: i64,
}

impl Price {
    /// What these tokens cost, in millionths of the currency, rounded up.
    #[must_use]
    pub fn of(self, prompt_tokens: u64, completion_tokens: u64) -> i64 {
        let part = |price: i64, tokens: u64| i128::from(price) * i128::from(tokens);
        let cost = part(self.prompt, prompt_tokens) + part(self.completion, completion_tokens);
        i64::try_from((cost + 999_999) / 1_000_000).unwrap_or(i64::MAX)
    }
}

/// What models cost, written `gpt-4o-mini=0.15/0.60,gpt-4o=2.50/10`: per million tokens read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices(BTreeMap<String, Price>);

/// Why a list of prices could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not of the form model=read/written, such as gpt-4o-mini=0.15/0.60")]
pub struct PricesError(String);

impl FromStr for Prices {
    type Err = PricesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let price = |part: &str| {
            let (model, prices) = part.rsplit_once('=')?;
            let (prompt, completion) = prices.split_once('/')?;
            Some((model.trim().to_owned(), Price { prompt: micros(prompt)?, completion: micros(completion)? }))
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| price(part).ok_or_else(|| PricesError(part.to_owned()))).collect::<Result<_, _>>().map(Self)
    }
}

/// An amount of money as millionths.
fn micros(text: &str) -> Option<i64> {
    let amount: f64 = text.trim().parse().ok()?;
    (0.0..=LARGEST_AMOUNT).contains(&amount).then(|| (amount * MICROS).round() as i64)
}

/// How to reach the server.
#[derive(Clone)]
pub struct AiServer {
    /// The base address, such as `https://api.openai.com/v1`.
    pub base_url: Url,
    /// Sent as a bearer token.
    pub api_key: Option<String>,
    /// The model to ask for.
    pub model: String,
    /// The longest wait for one answer, or for the next words of one that is streamed.
    pub timeout: Duration,
    /// The most requests this process sends in a minute.
    pub requests_per_minute: Option<u32>,
    /// What the model costs.
    pub price: Price,
}

/// Without the key.
impl std::fmt::Debug for AiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AiServer")
            .field("base_url", &self.base_url.as_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl AiConfig {
    /// Without a server: rules do everything, and cost nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { server: None, budget: DailyBudget::default() }
    }

    /// Reads `AI_BASE_URL`, `AI_API_KEY`, `AI_MODEL`, `AI_TIMEOUT_SECONDS`, `AI_REQUESTS_PER_MINUTE`, `AI_PRICES`,
    /// `AI_DAILY_BUDGET_USER` and `AI_DAILY_BUDGET_TOTAL`.
    ///
    /// # Errors
    /// If one is wrong, or there is a budget and no price to count with.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let prices: Prices = variables.parsed("AI_PRICES", Prices::default())?;
        let per_user = budget(variables, "AI_DAILY_BUDGET_USER")?;
        let in_all = budget(variables, "AI_DAILY_BUDGET_TOTAL")?;
        let Some(base_url) = variables.address("AI_BASE_URL", &["http", "https"])? else {
            return Ok(Self::none());
        };
        let model = variables.optional("AI_MODEL").unwrap_or(MODEL).to_owned();
        let price = prices.0.get(&model).copied();
        if price.is_none() && (per_user.is_some() || in_all.is_some()) {
            let reason = format!("there is a daily budget, and {model} has no price to count with");
            return Err(invalid("AI_PRICES", variables.optional("AI_PRICES").unwrap_or_default(), reason));
        }
        let per_minute = variables.number("AI_REQUESTS_PER_MINUTE", 0, 0..=1_000_000)?;
        Ok(Self {
            server: Some(AiServer {
                base_url,
                api_key: variables.optional("AI_API_KEY").map(str::to_owned),
                model,
                timeout: variables.seconds("AI_TIMEOUT_SECONDS", TIMEOUT_SECONDS, 1..=LONGEST_TIMEOUT_SECONDS)?,
                requests_per_minute: (per_minute > 0).then_some(per_minute),
                price: price.unwrap_or_default(),
            }),
            budget: DailyBudget { per_user, in_all },
        })
    }
}

fn budget(variables: &Variables, name: &'static str) -> Result<Option<i64>, ConfigError> {
    let Some(text) = variables.optional(name) else { return Ok(None) };
    let amount =
        micros(text).ok_or_else(|| invalid(name, text, "it must be an amount of money such as 0.50".into()))?;
    Ok(Some(amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<AiConfig, ConfigError> {
        let server = [("AI_BASE_URL", "http://ai.test/v1"), ("AI_MODEL", "m")];
        AiConfig::read(&Variables::of_pairs(server.into_iter().chain(pairs.iter().copied())))
    }

    #[test]
    fn money_is_counted_in_millionths_and_rounded_up() {
        let config = read(&[("AI_PRICES", "m=0.15/0.60, other:7b=1/2"), ("AI_DAILY_BUDGET_USER", "0.50")]).unwrap();
        let price = config.server.unwrap().price;
        assert_eq!(price, Price { prompt: 150_000, completion: 600_000 });
        for (prompt, completion, cost) in [(0, 0, 0), (1, 0, 1), (1_000_000, 0, 150_000), (100, 20, 27)] {
            assert_eq!(price.of(prompt, completion), cost);
        }
        assert_eq!(config.budget, DailyBudget { per_user: Some(500_000), in_all: None });
    }

    #[test]
    fn what_cannot_be_counted_is_named() {
        for (pairs, name) in [
            (&[("AI_PRICES", "m=0.15")][..], "AI_PRICES"),
            (&[("AI_PRICES", "m=-1/2")], "AI_PRICES"),
            (&[("AI_DAILY_BUDGET_TOTAL", "much")], "AI_DAILY_BUDGET_TOTAL"),
            (&[("AI_DAILY_BUDGET_TOTAL", "1"), ("AI_PRICES", "n=1/1")], "AI_PRICES"),
        ] {
            let error = read(pairs).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
