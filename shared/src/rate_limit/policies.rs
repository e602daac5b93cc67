//! THE TABLE of policies: how often what may be asked. A route names its policy in the table of routes; all but those
//! that are exempt come under [`API`] too. `RATE_LIMITS` replaces quotas by name.

use super::quota::Quota;

/// Whose requests a policy counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// Those of a user, or of an address while nobody is signed in.
    Caller,
    /// Those of an address, whoever is signed in there.
    Address,
    /// Those of an address for one account: counted where the account has been read.
    Account,
}

/// How a policy counts over several processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Each request asks Redis: never more than the quota, whatever the number of processes.
    Exact,
    /// Counted in the process, exchanged with Redis in batches: each process may add a twentieth of the quota.
    Batched,
}

/// A limit on how often something may be asked.
#[derive(Debug)]
pub struct Policy {
    /// Its name in headers, problems, metrics and configuration: a contract.
    pub name: &'static str,
    /// How much is allowed, unless configured otherwise.
    pub quota: Quota,
    /// Whose requests are counted together.
    pub partition: Partition,
    /// How exactly.
    pub counting: Counting,
}

impl Policy {
    const fn exact(name: &'static str, quota: Quota, partition: Partition) -> Self {
        Self { name, quota, partition, counting: Counting::Exact }
    }
}

/// Everything: what a busy page and its reloads need, and no program in a loop.
pub static API: Policy =
    Policy { name: "api", quota: Quota::per_second(100), partition: Partition::Caller, counting: Counting::Batched };
/// Requests with a session or a token that does not exist, so that nobody makes us look for thousands of made-up ones.
pub static UNAUTHENTICATED: Policy = Policy {
    name: "unauthenticated",
    quota: Quota::per_second(20),
    partition: Partition::Address,
    counting: Counting::Batched,
};
/// Signing in to one account from one address, so that a whole class behind one address can sign in at once. Guessing is
/// slowed by the throttle long before.
pub static LOGIN: Policy = Policy::exact("login", Quota::per_minute(10), Partition::Account);
/// Whatever else asks for the password of somebody who is signed in.
pub static PASSWORD: Policy = Policy::exact("password", Quota::per_minute(10), Partition::Caller);
/// New accounts: several classes behind one address can register at once.
pub static REGISTER: Policy = Policy::exact("register", Quota::per_minute(120), Partition::Address);
/// Requests for mailed links. What reaches one inbox is bounded by itself; here a class that forgot its passwords at once
/// still gets through, and nobody makes the queue mail thousands.
pub static MAIL_LINKS: Policy = Policy::exact("mail-links", Quota::per_hour(60), Partition::Address);
/// New personal tokens.
pub static TOKENS: Policy = Policy::exact("tokens", Quota::per_hour(20), Partition::Caller);
/// Attempts handed in: more than a student does, and fewer than a program that would keep the workers busy alone. What is
/// sent again under its idempotency key counts too.
pub static ATTEMPTS: Policy = Policy::exact("attempts", Quota::per_minute(600), Partition::Caller);
/// Sets to practise with and timed tests begun: each chooses questions for the caller.
pub static PRACTICE: Policy = Policy::exact("practice", Quota::per_minute(20), Partition::Caller);
/// Working states saved in a timed test: one a second would be a client that saves at each keystroke.
pub static ANSWERS: Policy = Policy::exact("answers", Quota::per_minute(60), Partition::Caller);
/// Searches of the question bank: as fast as somebody types.
pub static SEARCH: Policy = Policy::exact("search", Quota::per_second(10), Partition::Caller);
/// Whatever makes a model write.
pub static AI: Policy = Policy::exact("ai", Quota::per_minute(20), Partition::Caller);
/// Votes for models.
pub static VOTES: Policy = Policy::exact("votes", Quota::per_minute(60), Partition::Caller);
/// Files of questions: each is read by a job.
pub static IMPORTS: Policy = Policy::exact("imports", Quota::per_hour(30), Partition::Caller);
/// Files made for somebody.
pub static EXPORTS: Policy = Policy::exact("exports", Quota::per_minute(30), Partition::Caller);
/// Jobs and votes steered by the thousand.
pub static BULK: Policy = Policy::exact("bulk", Quota::per_minute(10), Partition::Caller);
/// Looks through the ledger, which may read much of it.
pub static LEDGER: Policy = Policy::exact("ledger", Quota::per_minute(60), Partition::Caller);
/// Live streams opened: many tabs and a bad network, and no client that reconnects in a loop.
pub static STREAMS: Policy = Policy::exact("streams", Quota::per_minute(600), Partition::Caller);

/// All of them, in the order of their declaration.
pub static ALL: [&Policy; 18] = [
    &API,
    &UNAUTHENTICATED,
    &LOGIN,
    &PASSWORD,
    &REGISTER,
    &MAIL_LINKS,
    &TOKENS,
    &ATTEMPTS,
    &PRACTICE,
    &ANSWERS,
    &SEARCH,
    &AI,
    &VOTES,
    &IMPORTS,
    &EXPORTS,
    &BULK,
    &LEDGER,
    &STREAMS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_is_in_the_table_once() {
        let source = include_str!("policies.rs");
        let declared = source.lines().filter(|line| line.starts_with("pub static ") && line.contains(": Policy"));
        let declared: Vec<_> = declared.map(|line| line["pub static ".len()..].split(':').next().unwrap()).collect();
        let named: Vec<_> = ALL.iter().map(|policy| policy.name.to_uppercase().replace('-', "_")).collect();
        assert_eq!(declared, named);
    }

    #[test]
    fn the_sample_of_the_configuration_names_the_quotas_as_they_are() {
        let sample = include_str!("../../../.env.sample").replace("\n#", " ");
        let named: Vec<_> = sample
            .split([' ', ',', ';'])
            .filter_map(|word| word.trim_end_matches([',', '.']).split_once('='))
            .collect();
        for policy in ALL {
            let told =
                named.iter().find(|(name, _)| *name == policy.name).map(|(_, quota)| quota.parse::<Quota>().unwrap());
            assert_eq!(told, Some(policy.quota), "{}", policy.name);
        }
    }
}
