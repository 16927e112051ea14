//! Partitions as a table for people.

use super::{Line, Standing};

const HEAD: [&str; 11] =
    ["partition", "owner", "term", "next", "lag", "snapshot", "outbox", "void", "in doubt", "recovery", "standing"];

/// The whole table, with a last line that sums it up.
pub(super) fn of(lines: &[Line]) -> String {
    let rows: Vec<[String; 11]> = std::iter::once(HEAD.map(str::to_owned)).chain(lines.iter().map(row)).collect();
    let widths: [usize; 11] = std::array::from_fn(|at| {
        let of_column = rows.iter().map(|row| row[at].chars().count());
        of_column.max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            // Names to the left, figures to the right.
            0 | 1 | 10 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text + &summary(lines)
}

fn row(line: &Line) -> [String; 11] {
    let name = format!("{}/{}", line.topic, line.partition);
    let owner = line.owner.clone().unwrap_or_else(|| "-".to_owned());
    let nothing = || "-".to_owned();
    let Standing::Owned { figures } = &line.standing else {
        let standing = match &line.standing {
            Standing::Unreachable { why } => format!("UNREACHABLE: {why}"),
            Standing::Owned { .. } | Standing::Unowned => "UNOWNED".to_owned(),
        };
        return [
            name,
            owner,
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            standing,
        ];
    };
    let standing = match (&figures.broken, figures.serving) {
        (Some(broken), _) => format!("BROKEN: {broken}"),
        (None, true) => "serving".to_owned(),
        (None, false) => "starting".to_owned(),
    };
    [
        name,
        owner,
        figures.term.to_string(),
        figures.next_offset.to_string(),
        figures.lag.to_string(),
        figures.snapshot_age_s.map_or_else(nothing, |age_s| format!("{age_s} s")),
        figures.outbox.to_string(),
        figures.void.to_string(),
        figures.in_doubt.to_string(),
        figures.recovery_ms.map_or_else(nothing, |ms| format!("{ms} ms")),
        standing,
    ]
}

fn summary(lines: &[Line]) -> String {
    let count = |wanted: fn(&Line) -> bool| lines.iter().filter(|line| wanted(line)).count();
    let serving = count(|line| matches!(&line.standing, Standing::Owned { figures } if figures.serving));
    let broken = count(|line| matches!(&line.standing, Standing::Owned { figures } if figures.broken.is_some()));
    let unanswered = count(|line| matches!(line.standing, Standing::Unreachable { .. } | Standing::Unowned));
    format!("{} partitions: {serving} serving, {broken} broken, {unanswered} that nobody answers for\n", lines.len())
}
