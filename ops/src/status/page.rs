//! The status as a page for a terminal of 100 columns.

use std::fmt::Write as _;

use super::{Business, Partitions, Projection, Service, Status, Verdict};
use crate::table::{Table, duration};

/// The whole page; what needs a person comes first and again last, where the eye is.
pub(super) fn of(status: &Status) -> String {
    let name = if status.namespace.is_empty() { "(no namespace)" } else { &status.namespace };
    let mut text = format!("box office {name}, {} UTC\n", status.at);
    section(&mut text, "services", &services(&status.services));
    if let Some(it) = &status.partitions {
        section(&mut text, "partitions", &partitions(it));
    }
    if !status.projections.is_empty() {
        section(&mut text, "projections", &projections(&status.projections));
    }
    if let Some(it) = &status.business {
        business(&mut text, it);
    }
    text.push('\n');
    text + &verdict(status)
}

fn section(text: &mut String, title: &str, body: &str) {
    let body = if body.is_empty() { "  none\n" } else { body };
    write!(text, "\n{title}\n{body}").expect("strings take everything");
}

fn services(services: &[Service]) -> String {
    let mut table = Table::new(&["instance", "ready", "version", "#up for", "address", "why not"]);
    for it in services {
        let ready = if it.ready { "yes" } else { "NO" };
        let version = it.version.clone().unwrap_or_else(|| "-".to_owned());
        let uptime = it.uptime_s.and_then(|s| i64::try_from(s).ok()).map_or("-".to_owned(), |s| duration(s * 1000));
        let why = it.why.clone().unwrap_or_default();
        table.row([it.instance.clone(), ready.to_owned(), version, uptime, it.url.clone(), why]);
    }
    if table.is_empty() { String::new() } else { table.text(2) }
}

fn partitions(it: &Partitions) -> String {
    let owners: Vec<String> = it.owners.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let owners = if owners.is_empty() { "nobody".to_owned() } else { owners.join(", ") };
    format!(
        "  {} of {} serving, {} broken, {} that nobody answers for; owners: {owners}\n  \
         outbox {}, commands waiting {}, callers left in doubt {}\n",
        it.serving, it.all, it.broken, it.unanswered, it.outbox, it.waiting, it.in_doubt
    )
}

fn projections(all: &[Projection]) -> String {
    let mut table =
        Table::new(&["projection", "generation", "#records behind", "#time behind", "#parked keys", "standing"]);
    for it in all {
        let standing = match (it.paused, it.not_begun) {
            (true, _) => "PAUSED".to_owned(),
            (false, 0) => "follows".to_owned(),
            (false, count) => format!("NOT BEGUN in {count} partitions"),
        };
        let live = it.generation.clone().unwrap_or_else(|| "-".to_owned());
        let generation = std::iter::once(live).chain(it.beside.iter().cloned()).collect::<Vec<_>>().join(", ");
        let behind = if it.lag.records == 0 { "-".to_owned() } else { duration(it.lag.ms) };
        let (records, parked) = (it.lag.records.to_string(), it.parked.to_string());
        table.row([it.name.to_owned(), generation, records, behind, parked, standing]);
    }
    table.text(2)
}

fn business(text: &mut String, it: &Business) {
    let orders: Vec<String> = it.orders.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let orders = if orders.is_empty() { "none".to_owned() } else { orders.join(", ") };
    section(
        text,
        "sales",
        &format!(
            "  orders: {orders}\n  held: {} tickets for {} open orders\n  refunds: {} due by hand, {} asked of providers; \
             {} movements of money in quarantine\n",
            it.holds.tickets, it.holds.orders, it.refunds.due, it.refunds.pending, it.quarantined
        ),
    );
    let mut money = Table::new(&["provider", "currency", "status", "#payments", "#asked for", "#received"]);
    for row in &it.money {
        let figures = [row.payments, row.amount, row.received].map(|figure| figure.to_string());
        let [payments, amount, received] = figures;
        money.row([row.provider.clone(), row.currency.clone(), row.status.clone(), payments, amount, received]);
    }
    if !money.is_empty() {
        section(text, "money, in minor units", &money.text(2));
    }
    let mut rooms = Table::new(&["show", "stage", "mode", "#waiting", "#slots", "#admitted/min"]);
    for room in &it.rooms {
        let slots = format!("{}/{}", room.slots_in_use, room.slots);
        let (waiting, outflow) = (room.waiting.to_string(), room.outflow_per_min.to_string());
        rooms.row([room.show.to_string(), room.stage.to_owned(), room.mode.clone(), waiting, slots, outflow]);
    }
    if !rooms.is_empty() {
        section(text, "waiting rooms", &rooms.text(2));
    }
}

fn verdict(status: &Status) -> String {
    let mut text = match status.verdict {
        Verdict::Well => "All is well.\n".to_owned(),
        Verdict::NeedsAPerson => format!("{} NEEDS A PERSON:\n", status.problems.len()),
        Verdict::CouldNotLook => "COULD NOT LOOK at everything:\n".to_owned(),
    };
    for why in &status.unseen {
        writeln!(text, "  {why}").expect("strings take everything");
    }
    for problem in &status.problems {
        writeln!(text, "  {}\n      -> {}", problem.what, problem.command).expect("strings take everything");
    }
    text
}
