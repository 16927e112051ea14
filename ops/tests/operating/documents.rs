//! What documents tell people to type exists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    let line = line.split(['|', ';', '>', '&', '\\']).next().unwrap_or(line);
    let is_word = |word: &&str| word.starts_with(|it: char| it.is_ascii_lowercase());
    let words = line.split_whitespace().take_while(is_word).collect();
    let options = line.split_whitespace().filter_map(|word| word.trim_start_matches('[').strip_prefix("--"));
    let name = |option: &'_ str| option.find(['=', ']', ',']).unwrap_or(option.len());
    (words, options.map(|option| &option[..name(option)]).filter(|it| !it.is_empty()).collect())
}

#[tokio::test]
async fn every_command_that_documents_name_exists() {
    let known: BTreeMap<String, Vec<String>> = commands()
        .await
        .into_iter()
        .map(|row| {
            let options = row["options"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
            (row["command"].as_str().unwrap().to_owned(), options.collect())
        })
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut seen, mut wrong) = (0, Vec::new());
    for path in documents(&root) {
        for line in typed(&std::fs::read_to_string(&path).unwrap()) {
            let (words, options) = parts(&line);
            if words.is_empty() {
                continue;
            }
            seen += 1;
            // The longest that is a command; what follows is its argument.
            let whole = (1..=words.len()).rev().map(|count| words[..count].join(" ")).find(|it| known.contains_key(it));
            let leads = |it: &String| it.starts_with(&format!("{} ", words[0]));
            let has = |option: &&&str| match &whole {
                Some(command) => known[command].iter().any(|it| it == **option),
                None => false,
            };
            let lacks: Vec<&&str> = options.iter().filter(|option| **option != "help" && !has(option)).collect();
            let group = words.len() == 1 && options.is_empty() && known.keys().any(leads);
            if (whole.is_none() && !group) || !lacks.is_empty() {
                wrong.push(format!("{}: boxctl {line} {lacks:?}", path.file_name().unwrap().display()));
            }
        }
    }
    assert!(seen > 200, "only {seen} commands were found: are documents written in another way?");
    assert!(wrong.is_empty(), "no such command or option:\n{}", wrong.join("\n"));
}
