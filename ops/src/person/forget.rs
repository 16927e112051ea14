//! Forgetting a person.
//!
//! Each step can be done again: what was erased stays erased, and the box office takes the keys away by itself once it
//! has answered.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use event_log::kafka::KafkaSettings;
use serde_json::json;
use service_kit::{clock, consistency, random};
use uuid::Uuid;

use super::known::{self, Order, Person};
use crate::audit::{self, Deed};
use crate::init::Place;
use crate::office::{Where, body, client};
use crate::stack;

/// So many orders go into one request.
const AT_ONCE: usize = 500;
/// The keys are gone sooner, if nothing is in the way.
const GONE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Orders that are placed meanwhile are found when looking again.
const ROUNDS: usize = 5;

/// Whom, and why.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    #[command(flatten)]
    at: Where,
    /// The person's id, as `boxctl person find` tells it.
    person: Uuid,
    /// Why, such as the number of the request; never personal data. It is kept by `boxctl audit`.
    #[arg(long)]
    why: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Forgets them, and waits until nobody can read what was known.
///
/// # Errors
/// Nothing was done: the box office or Kafka does not answer, or nobody agreed.
pub(super) async fn run(args: ForgetArgs) -> anyhow::Result<ExitCode> {
    let Some(person) = known::person(&args.at, args.person, |request| request).await? else {
        eprintln!("boxctl: nothing is known of person {}", args.person);
        return Ok(ExitCode::FAILURE);
    };
    let count = person.known().count();
    if !args.json {
        stack::print(&announced(&person))?;
    }
    if count > 0 {
        agreed(args.yes)?;
        record(&args, count).await?;
    }
    match forget(&args, person).await {
        Ok(orders) => {
            stack::print(&match args.json {
                true => json!({"person": args.person, "orders": orders, "forgotten": count}).to_string() + "\n",
                false => format!("person {} is forgotten in {orders} orders\n", args.person),
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("boxctl: {error:#}; what was done is done: run it again to go on");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What will be gone, and what stays.
fn announced(person: &Person) -> String {
    let (all, known) = (person.orders.len(), person.known().count());
    let mut text = format!("person {} ({}): {all} orders", person.person, person.principal);
    if known == 0 {
        return text + ", and all of them are forgotten\n";
    }
    text += &format!("\nGone for ever: name, mail address and phone number of the buyer in {known} of them\n");
    for Order { order, code, status, created_at, .. } in person.known() {
        text += &format!("  {code:<10}  {order}  {status:<16}  {created_at}\n");
    }
    text + "What stays: the orders without their buyer, tickets (they admit), payments, refunds, totals, the log\n"
}

fn agreed(yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    ensure!(std::io::stdin().is_terminal(), "nobody can be asked here: say --yes to forget this person");
    stack::print("Forget this person? Type yes: ")?;
    std::io::stdout().flush().context("write to stdout")?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("read the answer")?;
    ensure!(line.trim() == "yes", "nothing was done");
    Ok(())
}

async fn record(args: &ForgetArgs, orders: usize) -> anyhow::Result<()> {
    let place = Place::from_environment()?;
    let (kafka, _) = place.servers().await?;
    let what = json!({"person": args.person, "orders": orders});
    let deed = Deed { command: "person forget".to_owned(), what, why: Some(args.why.clone()) };
    audit::record(&KafkaSettings::new(&kafka, &place.namespace, "boxctl"), deed).await
}

/// Until every order is erased and no key is left. Returns how many orders there are.
async fn forget(args: &ForgetArgs, mut person: Person) -> anyhow::Result<usize> {
    for _ in 0..ROUNDS {
        let Some(token) = erase(args, &person).await? else {
            return gone(args, person).await;
        };
        let after = |request: reqwest::RequestBuilder| {
            request.header(consistency::HEADER, token.clone()).header("prefer", "wait=20")
        };
        person =
            known::person(&args.at, args.person, after).await?.context("the person's orders are not found again")?;
    }
    bail!("this person goes on ordering: orders are still known")
}

/// Erases what is known. Returns what a reader has to wait for; none if nothing is known.
async fn erase(args: &ForgetArgs, person: &Person) -> anyhow::Result<Option<String>> {
    let orders = person.known().map(|it| json!({"order": it.order, "show": it.show, "key": it.key}));
    let orders: Vec<_> = orders.collect();
    let (http, token, mut last) = (client()?, args.at.token()?, None);
    for some in orders.chunks(AT_ONCE) {
        let request = http.post(format!("{}/v1/persons/{}/erase", args.at.base(), args.person)).bearer_auth(&token);
        let request = request.header("Idempotency-Key", random::id().to_string()).json(&json!({ "orders": some }));
        let answer = request.send().await.context("ask the box office to forget the person")?;
        last = answer.headers().get(consistency::HEADER).and_then(|it| it.to_str().ok()).map(str::to_owned);
        body(answer).await?;
    }
    Ok(last)
}

/// The box office takes the keys away after it has answered; nobody has to wait for it, but who asked wants to know.
async fn gone(args: &ForgetArgs, mut person: Person) -> anyhow::Result<usize> {
    let started = clock::monotonic();
    loop {
        match person.readable() {
            0 => return Ok(person.orders.len()),
            left if started.elapsed() > GONE_WITHIN => {
                bail!(
                    "the keys of {left} orders are still there: is a command-api running, and the projector of person-keys?"
                )
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
        let found = known::person(&args.at, args.person, |request| request).await?;
        person = found.context("the person's orders are not found again")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::known::{persons, sample};

    #[test]
    fn it_says_what_will_be_gone_and_what_stays() {
        let person = persons(vec![sample(1, 3, false), sample(1, 1, true)]).remove(0);
        let text = announced(&person);
        assert!(text.contains("2 orders") && text.contains("buyer in 1 of them"), "{text}");
        assert!(text.contains("CODE3") && !text.contains("CODE1"), "{text}");
        assert!(text.contains("What stays"), "{text}");
        let gone = persons(vec![sample(1, 1, true)]).remove(0);
        assert!(announced(&gone).ends_with("all of them are forgotten\n"));
    }
}
