//! What documents tell people to type exists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::commands;

/// Every document for people, from the checkout's root.
fn documents(root: &Path) -> Vec<PathBuf> {
    let folders = [root.to_owned(), root.join("docs"), root.join("ops/runbooks")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|it| it.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|it| it == "md")).collect()
}

/// What stands behind `boxctl` where it is typed: in a line of a block, or between backquotes.
fn typed(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            let line = line.split(" # ").next().unwrap_or(line);
            found.extend(line.split("boxctl ").skip(1).map(str::to_owned));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(spans.filter_map(|span| span.split_once("boxctl ")).map(|(_, rest)| rest.to_owned()));
        }
    }
    found
}

/// The command of a line, as far as it is one, and the options it has.
fn parts(line: &str) -> (Vec<&str>, Vec<&str>) {
    let line = line.split(['|', ';', '>', '&', '\\', ')']).next().unwrap_or(line);
    let is_word = |word: &&str| word.starts_with(|it: char| it.is_ascii_lowercase());
    let words = line.split_whitespace().take_while(is_word).collect();
    let options = line.split_whitespace().filter_map(|word| word.trim_start_matches('[').strip_prefix("--"));
    let name = |option: &'_ str| option.find(['=', ']', ',']).unwrap_or(option.len());
    (words, options.map(|option| &option[..name(option)]).filter(|it| !it.is_empty()).collect())
}

/// What is wrong with the use of a command.
fn fault(row: &Value, more: bool, options: &[&str]) -> Option<String> {
    let has = |what: &str, name: &str| row[what].as_array().unwrap().iter().any(|it| it == name);
    let lacks = options.iter().find(|option| **option != "help" && !has("options", option));
    match lacks {
        Some(option) => Some(format!("it has no --{option}")),
        None if more && row["arguments"].as_array().unwrap().is_empty() => Some("it takes no argument".to_owned()),
        None => None,
    }
}

#[tokio::test]
async fn every_command_that_documents_name_exists() {
    let rows = commands().await;
    let known: BTreeMap<&str, &Value> = rows.iter().map(|row| (row["command"].as_str().unwrap(), row)).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut seen, mut wrong) = (0, Vec::new());
    for path in documents(&root) {
        for line in typed(&std::fs::read_to_string(&path).unwrap()) {
            let (words, options) = parts(&line);
            if words.is_empty() {
                continue;
            }
            seen += 1;
            let fault = match (1..=words.len())
                .rev()
                .find_map(|count| Some((count, *known.get(&*words[..count].join(" "))?)))
            {
                Some((count, row)) => fault(row, words.len() > count, &options),
                // A group of commands.
                None if options.is_empty()
                    && known.keys().any(|it| it.starts_with(&format!("{} ", words.join(" ")))) =>
                {
                    None
                }
                None => Some("no such command".to_owned()),
            };
            let name = path.file_name().unwrap().display();
            wrong.extend(fault.map(|fault| format!("{name}: boxctl {line}: {fault}")));
        }
    }
    assert!(seen > 200, "only {seen} commands were found: are documents written in another way?");
    assert!(wrong.is_empty(), "documents name what is not there:\n{}", wrong.join("\n"));
}
