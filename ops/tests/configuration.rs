//! docs/configuration.md agrees with what the processes declare.

use std::collections::BTreeSet;

use ops::config::sections;
use service_kit::env::{table, undocumented};

const DOCUMENT: &str = include_str!("../../docs/configuration.md");

#[test]
fn every_variable_of_every_process_is_documented() {
    for (process, variables) in sections() {
        assert!(!variables.is_empty(), "{process:?} declares nothing");
        let missing = undocumented(DOCUMENT, &variables);
        assert!(missing.is_empty(), "docs/configuration.md lacks these rows of {process:?}:\n{}", missing.join("\n"));
    }
}

#[test]
fn the_document_has_no_row_that_nobody_reads() {
    let declared: String = sections().iter().map(|(_, variables)| table(variables)).collect();
    let declared: BTreeSet<&str> = declared.lines().collect();
    // Shared rows whose default every process replaces by its own.
    let replaced = ["| `BOXOFFICE_LISTEN` | `127.0.0.1:8080` |"];
    let stale: Vec<&str> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| `BOXOFFICE_") && !declared.contains(line))
        .filter(|line| !replaced.iter().any(|start| line.starts_with(start)))
        .collect();
    assert!(stale.is_empty(), "nobody reads these variables:\n{}", stale.join("\n"));
}
