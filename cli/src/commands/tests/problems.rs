//! The table of what did not come through as it was, by row of the file.

use bellwork_shared::formats::{Problem, Severity};

use crate::screen::{Screen, Tone, cell, number, table};

/// Shows `problems`, if there are any.
pub(super) fn show(problems: &[Problem], screen: &mut Screen) -> anyhow::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let mut rows = table(&["LINE", "QUESTION", "", "WHERE", "WHAT AND WHAT TO DO"]);
    for problem in problems {
        let (word, tone) = match problem.severity {
            Severity::Lost => ("lost", Tone::Bad),
            Severity::Changed => ("changed", Tone::Caution),
        };
        let line = problem.line.map_or_else(String::new, |line| line.to_string());
        let question = if problem.question.is_empty() { "(the file)" } else { &problem.question };
        rows.add_row([
            number(line, Tone::Faint),
            cell(question, Tone::Strong),
            cell(word, tone),
            cell(&problem.pointer, Tone::Faint),
            cell(format!("{} {}", problem.detail, problem.hint).trim_end(), Tone::Plain),
        ]);
    }
    Ok(screen.table(rows)?)
}
