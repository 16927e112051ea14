//! Finding the person who somebody is.

use std::process::ExitCode;

use clap::Args;
use uuid::Uuid;

use super::known::{self, Person};
use crate::office::Where;
use crate::stack;

/// By what.
#[derive(Debug, Args)]
pub struct FindArgs {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    by: By,
    /// As JSON, one person a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct By {
    /// A mail address, in any case. It no longer finds who was forgotten.
    #[arg(long)]
    email: Option<String>,
    /// An order's id.
    #[arg(long)]
    order: Option<Uuid>,
    /// An account or guest: account:<sub> or guest:<uuid>.
    #[arg(long)]
    principal: Option<String>,
    /// A person's id.
    #[arg(long)]
    person: Option<Uuid>,
}

impl By {
    fn filter(self) -> (&'static str, String) {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string());
        let all = [
            ("email", self.email),
            ("order", id(self.order)),
            ("principal", self.principal),
            ("person", id(self.person)),
        ];
        let given = all.into_iter().find_map(|(name, value)| Some((name, value?)));
        given.expect("the command line asks for one of them")
    }
}

/// Lists them.
///
/// # Errors
/// The box office does not answer, or refuses.
pub(super) async fn run(args: FindArgs) -> anyhow::Result<ExitCode> {
    let persons = known::persons(known::orders(&args.at, args.by.filter(), |request| request).await?);
    let text = match args.json {
        true => persons.iter().map(|it| Ok(serde_json::to_string(it)? + "\n")).collect::<anyhow::Result<String>>()?,
        false => table(&persons),
    };
    stack::print(&text)?;
    Ok(if persons.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn table(persons: &[Person]) -> String {
    let who = persons.iter().map(|it| it.principal.len()).chain(["who".len()]).max().unwrap_or_default();
    let line = |person: &str, principal: &str, orders: &str, erased: &str, readable: &str, last: &str| {
        format!("{person:<36}  {principal:<who$}  {orders:>6}  {erased:>6}  {readable:>8}  {last}\n")
    };
    let row = |it: &Person| {
        let erased = it.orders.len() - it.known().count();
        let last = it.orders.first().map_or("-", |order| order.created_at.as_str());
        let [orders, erased, readable] = [it.orders.len(), erased, it.readable()].map(|count| count.to_string());
        line(&it.person.to_string(), &it.principal, &orders, &erased, &readable, last)
    };
    let rows: String = persons.iter().map(row).collect();
    line("person", "who", "orders", "erased", "readable", "last order")
        + &rows
        + &format!("{} persons\n", persons.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::known::{persons, sample};

    #[test]
    fn persons_are_listed_with_how_much_is_known_of_them() {
        let found = persons(vec![sample(1, 3, false), sample(2, 2, false), sample(1, 1, true)]);
        let text = table(&found);
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[0].starts_with("person"), "{text}");
        assert!(rows[1].ends_with("     2       1         1  2026-11-22T08:00:00Z"), "{text}");
        assert!(rows[2].ends_with("     1       0         1  2026-11-22T08:00:00Z"), "{text}");
        assert_eq!(rows[3], "2 persons");
    }
}
