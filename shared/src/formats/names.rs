//! Names that a file does not give: the ids of choices, and what tells apart texts of which no slug can be made.

use sha2::{Digest, Sha256};

/// The number of bytes of a hash that tell the texts of a test apart.
const FINGERPRINT: usize = 6;

/// What names a text of which no slug can be made, as for texts that are not in Latin letters.
pub(super) fn fingerprint(text: &str) -> String {
    Sha256::digest(text).iter().take(FINGERPRINT).map(|byte| format!("{byte:02x}")).collect()
}

/// The id of the choice at `index`, from 0: a, b, …, z, aa, ab, …
pub(super) fn choice_id(index: usize) -> String {
    let letter = |index: usize| char::from(b"abcdefghijklmnopqrstuvwxyz"[index % 26]);
    match index / 26 {
        0 => letter(index).to_string(),
        rounds => format!("{}{}", choice_id(rounds - 1), letter(index)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_lettered() {
        assert_eq!([0, 25, 26, 51, 52].map(choice_id), ["a", "z", "aa", "az", "ba"]);
    }
}
