//! Tables for people: columns as wide as they must be, names to the left, figures to the right.

/// A table that is filled row by row.
#[derive(Debug)]
pub(crate) struct Table {
    /// Which columns hold figures.
    figures: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns; one whose name begins with `#` holds figures.
    pub(crate) fn new(head: &[&str]) -> Self {
        let figures = head.iter().map(|name| name.starts_with('#')).collect();
        let names = head.iter().map(|name| name.trim_start_matches('#').to_owned());
        Self { figures, rows: vec![names.collect()] }
    }

    /// One more row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.figures.len());
        self.rows.push(cells.into());
    }

    /// Whether there is nothing but the head.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The whole table, every line after so many spaces.
    pub(crate) fn text(&self, indent: usize) -> String {
        let width = |at: usize| self.rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.figures.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).zip(&self.figures).map(|((cell, &width), figures)| match figures {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            let line = format!("{:indent$}{}", "", cells.collect::<Vec<_>>().join("  "));
            line.trim_end().to_owned() + "\n"
        };
        self.rows.iter().map(line).collect()
    }
}

/// A duration as people say it: 12 ms, 3.4 s, 5 min, 2 h, 3 d.
pub(crate) fn duration(ms: i64) -> String {
    match ms {
        ..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// A moment of UTC, to the second.
pub(crate) fn moment(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us)
        .map_or_else(|_| us.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_left_and_figures_right() {
        let mut table = Table::new(&["name", "#count"]);
        assert!(table.is_empty());
        table.row(["a".to_owned(), "1000".to_owned()]);
        table.row(["longer".to_owned(), "7".to_owned()]);
        assert_eq!(table.text(2), "  name    count\n  a        1000\n  longer      7\n");
    }

    #[test]
    fn a_duration_has_the_unit_that_reads_best() {
        let said = [7, 1500, 61_000, 7_200_000, 200_000_000].map(duration);
        assert_eq!(said, ["7 ms", "1.5 s", "1 min", "2 h", "2 d"]);
    }
}
