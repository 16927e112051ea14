//! The faults that every test run plays, one after the other: each is a whole box office, and this is a small machine.

use faults::table::markdown;

#[test]
fn nothing_acknowledged_is_lost_by_any_of_the_quick_faults() {
    let quick = faults::all().into_iter().filter(|fault| fault.quick);
    let rows = system_tests::run(async {
        let mut rows = Vec::new();
        for fault in quick {
            rows.push(faults::run::named(fault.name, 1).await.expect("it is one of ours"));
        }
        rows
    });
    println!("{}", markdown(&rows));
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| !row.passed())
        .flat_map(|row| row.runs.iter().map(|run| format!("{}: {}", row.fault, run.line())))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_unlike_each_other() {
    let mut names: Vec<&str> = faults::all().into_iter().map(|fault| fault.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
