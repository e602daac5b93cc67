//! What the student remembers from class: phrases of prompts, and what comes to mind. Some of it is wrong, much is missing.

/// Choices that come to mind at a phrase of the prompt: those that hold one of these words.
pub(super) const CHOICES: &[(&str, &[&str])] = &[
    ("3(x − 4)", &["x = −7"]),
    ("slope of the line", &["−1/2"]),
    ("If f(x) = 2x²", &["15"]),
    ("equal to x² − 5x − 14", &["(x − 7)(x + 2)"]),
    ("120 tickets", &["70"]),
    ("perpendicular", &["3x + 2y = 8", "2x + 3y = 12"]),
    ("graph of y = −(x − 2)²", &["vertex", "axis of symmetry", "x-axis"]),
    ("ATP production", &["Mitochondrion"]),
    ("distilled water", &["Water enters"]),
    ("enzyme speed up", &["activation energy"]),
    ("food chain grass", &["Frog"]),
    ("oxygen atoms", &["Carbon dioxide"]),
    ("bacterial cells and in plant cells", &["Ribosomes", "Plasma membrane", "DNA"]),
    ("about meiosis", &["halves the number", "skin repairs"]),
    ("happened to the oysters", &["died of cold"]),
    ("silt up", &["mud"]),
    ("main purpose of paragraph 2", &["four experiments"]),
    ("attitude towards Calder", &["Admiring"]),
    ("the word \"Yet\"", &["opened later"]),
    ("floating market are supported", &["1996", "30 stalls", "earns money"]),
    ("came to grief", &["oysters", "boatbuilding school"]),
];

/// Numbers that come to mind at a phrase of the prompt.
pub(super) const NUMBERS: &[(&str, f64)] = &[
    ("√(3x + 4)", 7.0),
    ("smaller of the two solutions", 3.0),
    ("bases are adenine", 28.0),
    ("Hardy–Weinberg", 9.0),
    ("last fishing boat", 4.0),
    ("On average, by how many stalls", 10.0),
];

/// Sentences that come to mind at a phrase of the prompt.
pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "no real solutions",
        "I calculate the discriminant: b² − 4ac = 4 − 60 = −56. It is negative, so there is no real solution.",
    ),
    (
        "student's mistake",
        "When you divide by a negative number you must flip the sign, so the right solution is x < −4.",
    ),
    (
        "Plan A",
        "Plan A is linear, it adds 50 every month. Plan B is exponential because it doubles. In the long run Plan B is ahead.",
    ),
    (
        "rises as the temperature",
        "When it is warmer the molecules move faster and collide more often. If it gets too hot, the enzyme is denatured.",
    ),
    (
        "antibiotic",
        "A few bacteria were resistant because of a mutation. The antibiotic killed the others and the resistant ones survived.",
    ),
    (
        "otters",
        "The otters are the predators of the urchins. Without them the urchin population increases, and it eats the kelp, which declines.",
    ),
    (
        "the mill first",
        "The mill was a failure because it jammed, but the society learned from it how the currents run.",
    ),
    ("empty harbour", "She thinks that the harbour still has potential. Most people think the opposite."),
    (
        "Taken together",
        "I think it was a success on the whole. The market grew and pays the bills, but the oysters died and the mill failed.",
    ),
];

/// What comes to mind at `prompt`.
pub(super) fn recall<T: Copy>(memories: &[(&str, T)], prompt: &str) -> Option<T> {
    memories.iter().find(|(phrase, _)| prompt.contains(phrase)).map(|(_, memory)| *memory)
}
