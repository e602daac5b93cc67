//! The key points as a model is shown them: under names that nobody could have written into an answer, and with a decoy
//! among them that no answer meets. Who is told to report all of them reports the decoy, too.

use std::collections::HashSet;

use bellwork_shared::practice_tests::KeyPoint;

use super::fence::Seed;
use super::reply::Claim;
use crate::marker::Essay;

/// Statements that no answer to any question of an exam makes.
const DECOYS: &[&str] = &[
    "The lighthouse keeper of Varn wrote his diary in green ink.",
    "The second edition of the Obermann catalogue lists nineteen kinds of clasp.",
    "The tram to Lower Istrin was painted yellow in the spring of that year.",
    "A violin maker in Carvelle kept his varnish in seven glass jars.",
    "The weaver's guild of Tamsel met on the last Thursday before the fair.",
    "The bell of Saint Odran's was recast with a lower tone.",
    "The expedition left its second sledge beside the ruined hut at Korsvik.",
    "The innkeeper at Dunmarrow numbered his rooms from the top floor down.",
];

/// What one request shows of a question's key points.
#[derive(Debug)]
pub(crate) struct Ballot<'a> {
    /// In the order in which they are shown.
    pub(super) lines: Vec<Line<'a>>,
    pub(super) seed: Seed,
}

/// A statement that the model is to look for.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) name: String,
    pub(super) text: &'a str,
    /// None: a decoy.
    point: Option<&'a KeyPoint>,
}

/// What the model's claims say of the question's own key points.
#[derive(Debug)]
pub(super) struct Claims {
    /// Under the key points' own ids.
    pub(super) claims: Vec<Claim>,
    pub(super) trust: Trust,
}

/// How far a model's claims are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// With a good quote.
    WithEvidence,
    /// Somebody has talked it into its claims: only where the rubric finds the same.
    WithRubric,
}

impl<'a> Ballot<'a> {
    /// The same for each run of a job.
    pub(super) fn of(essay: &Essay<'a>) -> Self {
        let seed = Seed::of(essay.job.0, essay.question.0);
        let decoy = DECOYS[index(seed.number(2), DECOYS.len())];
        let mut shown: Vec<_> = essay.key.key_points.iter().map(|point| (point.text.as_str(), Some(point))).collect();
        shown.insert(index(seed.number(3), shown.len() + 1), (decoy, None));
        let name = |place: usize| format!("s{:02x}{:06x}", place, seed.number(4) & 0x00ff_ffff);
        let lines = shown.into_iter().enumerate();
        let lines = lines.map(|(place, (text, point))| Line { name: name(place), text, point }).collect();
        Self { lines, seed }
    }

    /// The key point that a claim is about; none for a decoy, or for a name that was not shown.
    pub(super) fn find(&self, claim: &Claim) -> Option<&'a KeyPoint> {
        self.lines.iter().find(|line| line.name == claim.key_point)?.point
    }

    /// The claims under the key points' own ids, and how far they are trusted.
    pub(super) fn read(&self, claims: &[Claim]) -> Claims {
        let decoys: HashSet<_> =
            self.lines.iter().filter(|line| line.point.is_none()).map(|line| line.name.as_str()).collect();
        let is_obedient = claims.iter().any(|claim| decoys.contains(claim.key_point.as_str()));
        let trust = if is_obedient { Trust::WithRubric } else { Trust::WithEvidence };
        let own = |claim: &Claim| {
            self.find(claim).map(|point| Claim { key_point: point.id.clone(), quote: claim.quote.clone() })
        };
        Claims { claims: claims.iter().filter_map(own).collect(), trust }
    }
}

/// True if `text` is one of the decoys.
#[cfg(test)]
pub(crate) fn is_decoy(text: &str) -> bool {
    DECOYS.contains(&text)
}

fn index(number: u64, length: usize) -> usize {
    usize::try_from(number % length.max(1) as u64).unwrap_or_default()
}
