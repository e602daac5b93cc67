//! THE TABLE of rules against abuse. A new rule is one row and a function; each looks at one thing, and none is asked for
//! a verdict alone unless its weight says so. A school class, which is many new accounts behind one address that vote
//! within minutes, must stay below [`HOLD_AT`]: `new_account`, `shared_address` and `burst` together do.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::evidence::{Device, Evidence};

/// The weight of reasons that together hold a vote back.
pub const HOLD_AT: u32 = 100;
/// Nobody means that many votes in a minute. The route takes 60.
const FRANTIC_VOTES: i64 = 30;
/// How long an account is new.
pub const NEW_FOR: TimeDelta = TimeDelta::hours(24);
/// A family shares a computer.
const SHARED_BY: i64 = 5;
/// New accounts on one device that are taken for one person's.
const PUPPETS: i64 = 5;
/// More than a household; perhaps a school.
const CROWD: i64 = 20;
/// Fewer votes in ten minutes are no burst, whatever is usual.
const BURST_AT_LEAST: i64 = 30;
/// How many times the usual rate makes a burst.
const BURST_FACTOR: f64 = 5.0;

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its stored name.
    pub name: &'static str,
    /// How much it adds to the verdict.
    pub weight: u32,
    /// What it looks at, for operators.
    pub looks_at: &'static str,
    /// A sentence about what it found, if it did.
    finds: fn(&Evidence) -> Option<String>,
}

/// All rules.
pub static ALL: &[Rule] = &[
    Rule {
        name: "velocity",
        weight: 100,
        looks_at: "the student's votes, changes and withdrawals within a minute",
        finds: velocity,
    },
    Rule {
        name: "sock_puppets",
        weight: 100,
        looks_at: "new accounts that say the same of the same model from the device of this new account",
        finds: sock_puppets,
    },
    Rule {
        name: "shared_device",
        weight: 40,
        looks_at: "accounts of any age that say the same of the same model from the device",
        finds: shared_device,
    },
    Rule {
        name: "undeclared_device",
        weight: 40,
        looks_at: "whether the request says what a browser says of itself",
        finds: undeclared_device,
    },
    Rule {
        name: "burst",
        weight: 40,
        looks_at: "the model's votes in ten minutes beside its usual ones",
        finds: burst,
    },
    Rule { name: "new_account", weight: 30, looks_at: "the age of the account", finds: new_account },
    Rule {
        name: "shared_address",
        weight: 20,
        looks_at: "accounts that say the same of the same model from the network within an hour",
        finds: shared_address,
    },
];

/// Why a vote is suspicious.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reason {
    /// The rule's name.
    pub rule: String,
    /// Its weight at that time.
    pub weight: u32,
    /// What it found, for operators.
    pub detail: String,
}

/// What the rules together say of a vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Count,
    /// It is held back.
    Hold(Vec<Reason>),
}

/// Asks all rules.
#[must_use]
pub fn judge(evidence: &Evidence) -> Verdict {
    let reasons: Vec<_> = ALL.iter().filter_map(|rule| rule.ask(evidence)).collect();
    let weight: u32 = reasons.iter().map(|reason| reason.weight).sum();
    if weight >= HOLD_AT { Verdict::Hold(reasons) } else { Verdict::Count }
}

/// The rule of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.name == name)
}

impl Rule {
    fn ask(&self, evidence: &Evidence) -> Option<Reason> {
        let detail = (self.finds)(evidence)?;
        Some(Reason { rule: self.name.to_owned(), weight: self.weight, detail })
    }
}

fn velocity(evidence: &Evidence) -> Option<String> {
    let votes = evidence.votes_within_minute;
    (votes > FRANTIC_VOTES).then(|| format!("More than {FRANTIC_VOTES} votes of this account within a minute."))
}

fn sock_puppets(evidence: &Evidence) -> Option<String> {
    let Device::Known { new, .. } = evidence.device else { return None };
    let is_one = new >= PUPPETS && evidence.account_age < NEW_FOR;
    is_one.then(|| format!("A new account; {new} others voted alike from the same device."))
}

fn shared_device(evidence: &Evidence) -> Option<String> {
    let Device::Known { others, .. } = evidence.device else { return None };
    (others >= SHARED_BY).then(|| format!("{others} other accounts voted alike from the same device."))
}

fn undeclared_device(evidence: &Evidence) -> Option<String> {
    (evidence.device == Device::Undeclared)
        .then(|| "The request says nothing that a browser says of itself.".to_owned())
}

fn burst(evidence: &Evidence) -> Option<String> {
    let surge = evidence.surge?;
    let is_burst = surge.votes >= BURST_AT_LEAST && surge.votes as f64 >= BURST_FACTOR * surge.usual;
    is_burst.then(|| format!("{} such votes on the model in ten minutes; {:.1} are usual.", surge.votes, surge.usual))
}

fn new_account(evidence: &Evidence) -> Option<String> {
    let minutes = evidence.account_age.num_minutes();
    (evidence.account_age < NEW_FOR).then(|| format!("The account was {minutes} minutes old."))
}

fn shared_address(evidence: &Evidence) -> Option<String> {
    let others = evidence.network_others;
    (others >= CROWD).then(|| format!("{others} other accounts voted alike from the same network within an hour."))
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Surge;
    use super::*;

    /// A student of last year at home.
    const HONEST: Evidence = Evidence {
        account_age: TimeDelta::days(300),
        votes_within_minute: 3,
        device: Device::Known { others: 0, new: 0 },
        network_others: 0,
        surge: None,
    };
    const NEW: Evidence = Evidence { account_age: TimeDelta::minutes(20), ..HONEST };
    const SURGE: Option<Surge> = Some(Surge { votes: 30, usual: 6.0 });

    fn found(evidence: &Evidence) -> Vec<&'static str> {
        ALL.iter().filter(|rule| rule.ask(evidence).is_some()).map(|rule| rule.name).collect()
    }

    #[test]
    fn each_rule_finds_its_signal_and_not_the_next_smaller_one() {
        let known = |others, new| Device::Known { others, new };
        let table: &[(Evidence, &[&str])] = &[
            (HONEST, &[]),
            (Evidence { votes_within_minute: 30, ..HONEST }, &[]),
            (Evidence { votes_within_minute: 31, ..HONEST }, &["velocity"]),
            (Evidence { device: known(4, 4), ..HONEST }, &[]),
            (Evidence { device: known(5, 5), ..HONEST }, &["shared_device"]),
            (Evidence { device: known(4, 4), ..NEW }, &["new_account"]),
            (Evidence { device: known(5, 5), ..NEW }, &["sock_puppets", "shared_device", "new_account"]),
            (Evidence { device: known(9, 4), ..NEW }, &["shared_device", "new_account"]),
            (Evidence { device: Device::Undeclared, ..HONEST }, &["undeclared_device"]),
            (Evidence { account_age: TimeDelta::hours(24), ..HONEST }, &[]),
            (Evidence { account_age: TimeDelta::minutes(1439), ..HONEST }, &["new_account"]),
            (Evidence { network_others: 19, ..HONEST }, &[]),
            (Evidence { network_others: 20, ..HONEST }, &["shared_address"]),
            (Evidence { surge: SURGE, ..HONEST }, &["burst"]),
            (Evidence { surge: Some(Surge { votes: 29, usual: 0.0 }), ..HONEST }, &[]),
            (Evidence { surge: Some(Surge { votes: 1000, usual: 201.0 }), ..HONEST }, &[]),
        ];
        for (evidence, rules) in table {
            assert_eq!(found(evidence), *rules, "{evidence:?}");
        }
    }

    #[test]
    fn a_class_is_let_through_and_a_farm_is_not() {
        let class = Evidence { network_others: 100, surge: SURGE, ..NEW };
        assert_eq!(judge(&class), Verdict::Count, "with a device each");
        let program = Evidence { device: Device::Undeclared, ..HONEST };
        assert_eq!(judge(&program), Verdict::Count, "a program is not a crime");
        let library = Evidence { device: Device::Known { others: 50, new: 4 }, network_others: 50, ..NEW };
        assert_eq!(judge(&library), Verdict::Count, "a computer for all");
        let farm = Evidence { device: Device::Known { others: 5, new: 5 }, ..NEW };
        assert!(matches!(judge(&farm), Verdict::Hold(_)));
        let scripted = Evidence { device: Device::Undeclared, network_others: 29, surge: SURGE, ..NEW };
        let Verdict::Hold(reasons) = judge(&scripted) else { panic!("{scripted:?}") };
        assert_eq!(reasons.iter().map(|reason| reason.weight).sum::<u32>(), 130);
    }

    #[test]
    fn stored_names_are_a_contract_and_unique() {
        let names: Vec<_> = ALL.iter().map(|rule| rule.name).collect();
        let expected = [
            "velocity",
            "sock_puppets",
            "shared_device",
            "undeclared_device",
            "burst",
            "new_account",
            "shared_address",
        ];
        assert_eq!(names, expected);
        assert!(names.iter().all(|name| find(name).is_some_and(|rule| rule.name == *name)));
    }
}
