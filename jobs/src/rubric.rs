//! The built-in marker for free text: a key point is met if the answer holds one term of each of its groups.

use bellwork_shared::practice_tests::{KeyPoint, TextKey};

use crate::wording::Wording;

/// The ids of the key points that `answer` meets, in their order.
#[must_use]
pub fn met(key: &TextKey, answer: &str) -> Vec<String> {
    let answer = Wording::of(answer);
    key.key_points.iter().filter(|point| meets(&answer, point)).map(|point| point.id.clone()).collect()
}

/// True if `answer` holds one term of every group of `point`.
#[must_use]
pub fn meets(answer: &Wording, point: &KeyPoint) -> bool {
    !point.terms.is_empty() && point.terms.iter().all(|group| group.iter().any(|term| answer.holds(&Wording::of(term))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(terms: &[&[&str]]) -> TextKey {
        let terms = terms.iter().map(|group| group.iter().map(|term| (*term).to_owned()).collect()).collect();
        let key_points = vec![KeyPoint { id: "k1".to_owned(), text: "A statement.".to_owned(), terms }];
        TextKey { model_answer: String::new(), key_points }
    }

    #[test]
    fn one_term_of_every_group_must_stand_in_the_answer() {
        let mill = key(&[&["mill"], &["fail", "failed", "jammed"]]);
        for (answer, expected) in [
            ("The MILL jammed after six weeks.", true),
            ("The mill was built in 1993.", false),
            ("It failed.", false),
            ("A million failed.", false),
            ("", false),
        ] {
            assert_eq!(!met(&mill, answer).is_empty(), expected, "{answer:?}");
        }
        assert!(met(&key(&[]), "anything").is_empty(), "a point without terms is met by nothing");
        for (term, answer) in [("caf\u{e9}", "Un cafe\u{301}."), ("cafe\u{301}", "Un CAF\u{c9}.")] {
            assert_eq!(met(&key(&[&[term]]), answer), ["k1"], "{answer}");
        }
        assert!(met(&key(&[&["10²"]]), "It is 102.").is_empty());
        assert_eq!(met(&key(&[&["x < −4"]]), "Hence x<-4, since the sign flips."), ["k1"]);
    }

    #[test]
    fn every_model_answer_of_the_content_meets_its_own_key() {
        for content in [
            include_str!("../../content/algebra.json"),
            include_str!("../../content/biology.json"),
            include_str!("../../content/reading.json"),
        ] {
            let content: serde_json::Value = serde_json::from_str(content).unwrap();
            let questions = content["questions"].as_array().unwrap().iter();
            let free_text: Vec<_> = questions.filter(|question| question["kind"] == "free_text").collect();
            assert!(!free_text.is_empty());
            for question in free_text {
                let key: TextKey = serde_json::from_value(question["answer"].clone()).unwrap();
                let ids: Vec<_> = key.key_points.iter().map(|point| point.id.clone()).collect();
                assert_eq!(met(&key, &key.model_answer), ids, "{}", question["slug"]);
            }
        }
    }
}
