//! What the sources of the services log and measure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Whose sources.
const CRATES: [&str; 8] =
    ["service-kit", "command-api", "projectors", "query-api", "event-log", "schemas", "ops", "ops/sandbox"];
const LOGS: [&str; 9] =
    ["error!", "warn!", "info!", "debug!", "trace!", "error_span!", "warn_span!", "info_span!", "debug_span!"];

/// Names of fields of log lines and attributes of spans, with a place of each.
pub fn fields() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (file, text) in files() {
        for start in LOGS.iter().flat_map(|name| calls(&text, &format!("tracing::{name}("))) {
            for argument in arguments(&text[start..]).into_iter().filter(|it| !it.starts_with('"')) {
                let name = argument.split('=').next().unwrap_or_default().trim().trim_start_matches(['%', '?']);
                found.insert(name.to_owned(), file.clone());
            }
        }
        for start in calls(&text, "span.set(").chain(calls(&text, "step.set(")) {
            found.extend(literal(&text[start..]).map(|name| (name, file.clone())));
        }
    }
    found
}

/// Names of metrics, with a place of each.
pub fn metrics() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (file, text) in files().into_iter().filter(|(file, _)| !file.ends_with("metric_list.rs")) {
        let macros = ["counter!(", "gauge!(", "histogram!("].into_iter().flat_map(|name| calls(&text, name));
        // Helpers that are given a name, and names that are given to helpers.
        let helpers = ["gauge(", "set(", "show("].into_iter().flat_map(|name| calls(&text, name));
        for start in macros.chain(helpers) {
            found.extend(literal(&text[start..]).filter(|name| is_metric(name)).map(|name| (name, file.clone())));
        }
        let pairs = text.match_indices("(\"boxoffice_money_").map(|(at, _)| at + 1);
        for start in pairs {
            let names = arguments(&text[start..]);
            found.extend(names.iter().filter_map(|name| literal(name)).map(|name| (name, file.clone())));
        }
    }
    found
}

fn is_metric(name: &str) -> bool {
    ["boxoffice_", "http_", "projector_"].iter().any(|start| name.starts_with(start))
}

/// Every source file but for tests, with what stands in it before its tests.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("ops lies in the checkout");
    let mut paths = Vec::new();
    CRATES.iter().for_each(|name| collect(&root.join(name).join("src"), &mut paths));
    assert!(paths.len() > 200, "{} files", paths.len());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let end = text.find("#[cfg(test)]\nmod tests {").or_else(|| text.find("#[cfg(test)]\npub(crate) mod tests {"));
        let name = path.strip_prefix(root).expect("it was found there").display().to_string();
        (name, text[..end.unwrap_or(text.len())].to_owned())
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            collect(&entry, into);
        } else if entry.extension().is_some_and(|it| it == "rs") && !entry.ends_with("tests.rs") {
            into.push(entry);
        }
    }
}

/// Where the arguments of each call begin.
fn calls<'a>(text: &'a str, call: &str) -> impl Iterator<Item = usize> + use<'a> {
    let call = call.to_owned();
    let found: Vec<usize> = text.match_indices(&call).map(|(at, _)| at + call.len()).collect();
    found.into_iter()
}

/// The literal that stands first.
fn literal(text: &str) -> Option<String> {
    let rest = text.trim_start().strip_prefix('"')?;
    rest.split('"').next().map(str::to_owned)
}

/// The arguments up to the parenthesis that closes the call.
fn arguments(text: &str) -> Vec<String> {
    let (mut all, mut depth, mut quoted, mut escaped) = (vec![String::new()], 0, false, false);
    for letter in text.chars() {
        let open = !quoted && matches!(letter, '(' | '[' | '{');
        let closes = !quoted && matches!(letter, ')' | ']' | '}');
        match letter {
            _ if closes && depth == 0 => break,
            ',' if !quoted && depth == 0 => {
                all.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        depth = depth + usize::from(open) - usize::from(closes);
        escaped = quoted && letter == '\\' && !escaped;
        all.last_mut().expect("there is one from the start").push(letter);
    }
    all.into_iter().map(|argument| argument.trim().to_owned()).filter(|argument| !argument.is_empty()).collect()
}
