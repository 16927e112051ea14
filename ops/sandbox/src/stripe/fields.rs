//! Parameters with brackets, such as `line_items[0][quantity]=2`, taken out one by one; what is left is unknown.

use std::collections::BTreeMap;

use super::refusal::Refusal;
use crate::form;

/// The parameters below one name.
#[derive(Debug, Default)]
pub struct Fields {
    path: String,
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug)]
enum Node {
    Text(String),
    Below(BTreeMap<String, Node>),
}

impl Fields {
    /// Reads a body or a query; brackets may be bare or percent-encoded.
    pub fn read(text: &[u8]) -> Result<Self, Refusal> {
        let unreadable = || Refusal::unreadable("The request is not form-encoded.");
        let mut fields = Self::default();
        for (name, value) in form::pairs(text).ok_or_else(unreadable)? {
            let parts = parts(&name).ok_or_else(|| Refusal::unreadable(format!("Invalid parameter name: {name}")))?;
            put(&mut fields.nodes, &parts, value)
                .ok_or_else(|| Refusal::wrong(&name, None, format!("The parameter {name} is given twice.")))?;
        }
        Ok(fields)
    }

    /// The full name of a parameter below this one.
    pub fn name(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}[{name}]", self.path) }
    }

    /// Takes a text that may be missing. An empty one is an attempt to unset, which no parameter here allows.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.nodes.remove(name) {
            None => Ok(None),
            Some(Node::Text(text)) if text.is_empty() => Err(self.empty(name)),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::Below(_)) => Err(self.wrong(name, "Invalid string")),
        }
    }

    /// Takes a text that must be there.
    pub fn required(&mut self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::missing(&self.name(name)))
    }

    /// Takes an integer: digits, perhaps with a minus, nothing else.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let digits = text.strip_prefix('-').unwrap_or(&text);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let value = text.parse().ok().filter(|_| plain);
        value.map(Some).ok_or_else(|| {
            Refusal::wrong(&self.name(name), Some("parameter_invalid_integer"), format!("Invalid integer: {text}"))
        })
    }

    /// Takes what is below a name; nothing when it is missing.
    pub fn below(&mut self, name: &str) -> Result<Option<Self>, Refusal> {
        match self.nodes.remove(name) {
            None => Ok(None),
            Some(Node::Below(nodes)) => Ok(Some(Self { path: self.name(name), nodes })),
            Some(Node::Text(_)) => Err(self.wrong(name, "Invalid object")),
        }
    }

    /// Takes a list of objects, numbered from 0 without a gap.
    pub fn list(&mut self, name: &str) -> Result<Vec<Self>, Refusal> {
        let Some(mut items) = self.below(name)? else { return Ok(Vec::new()) };
        let count = items.nodes.len();
        let all =
            (0..count).map(|index| items.below(&index.to_string())?.ok_or_else(|| self.wrong(name, "Invalid array")));
        all.collect()
    }

    /// Takes a list of texts: `name[0]=a` or `name[]=a`.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, Refusal> {
        let Some(items) = self.below(name)? else { return Ok(Vec::new()) };
        let text = |node| match node {
            Node::Text(text) => Ok(text),
            Node::Below(_) => Err(self.wrong(name, "Invalid string")),
        };
        items.nodes.into_values().map(text).collect()
    }

    /// Takes everything that is left, as texts by name.
    pub fn rest(self) -> Result<BTreeMap<String, String>, Refusal> {
        let path = self.path;
        let text = |(name, node)| match node {
            Node::Text(text) => Ok((name, text)),
            Node::Below(_) => Err(Refusal::wrong(&format!("{path}[{name}]"), None, "Metadata values must be strings")),
        };
        self.nodes.into_iter().map(text).collect()
    }

    /// Refuses what is left.
    pub fn finish(self) -> Result<(), Refusal> {
        match self.nodes.keys().next() {
            Some(name) => Err(Refusal::unknown(&self.name(name))),
            None => Ok(()),
        }
    }

    fn empty(&self, name: &str) -> Refusal {
        let name = self.name(name);
        let message = format!("You passed an empty string for '{name}'.");
        Refusal::wrong(&name, Some("parameter_invalid_empty"), message)
    }

    fn wrong(&self, name: &str, problem: &str) -> Refusal {
        Refusal::wrong(&self.name(name), None, format!("{problem}: {}", self.name(name)))
    }
}

/// `a[b][0]` as `a`, `b`, `0`; an empty part stands for the next index.
fn parts(name: &str) -> Option<Vec<&str>> {
    let (first, rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut parts = vec![first];
    if !rest.is_empty() {
        parts.extend(rest.strip_prefix('[')?.strip_suffix(']')?.split("]["));
    }
    let sound = |part: &&str| !part.contains(['[', ']']);
    let named = parts[..parts.len() - 1].iter().all(|part| !part.is_empty());
    (named && parts.iter().all(sound)).then_some(parts)
}

fn put(nodes: &mut BTreeMap<String, Node>, parts: &[&str], value: String) -> Option<()> {
    let (first, rest) = parts.split_first()?;
    let name = if first.is_empty() { nodes.len().to_string() } else { (*first).to_owned() };
    if rest.is_empty() {
        return nodes.insert(name, Node::Text(value)).is_none().then_some(());
    }
    match nodes.entry(name).or_insert_with(|| Node::Below(BTreeMap::new())) {
        Node::Below(below) => put(below, rest, value),
        Node::Text(_) => None,
    }
}
