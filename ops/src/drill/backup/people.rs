//! Who buys: everybody orders, pays at once, and takes the tickets; one of ten walks away.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use check::{Faults, Law, Promised};
use domain::ids::OrderId;
use domain::value::Role;
use provider_sandbox::Provider;
use serde_json::json;
use service_kit::views::{Page as Paged, Ticket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::bank::Bank;
use super::super::office::Office;
use super::super::order::place;
use super::super::plan::Market;
use super::super::tally::Tally;
use super::super::{Scene, stage};
use crate::demo::dice::Dice;
use crate::demo::shop::Shop;

/// Whoever walks away holds tickets for so long.
const PAY_WITHIN_S: u32 = 20;
/// Tickets come within so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// In full swing the end comes when so many of a hundred are through.
const SWING: usize = 60;
/// So many buyers show their codes again afterwards.
const WITNESSES: usize = 20;

/// By what a buyer looks at an order, and the codes that were handed out.
type Witness = (OrderId, String, Vec<String>);

/// What became of those who bought.
pub struct Bought {
    /// What they were promised.
    pub promised: Promised,
    /// What should not have happened.
    pub wrong: Vec<String>,
    witnesses: Vec<Witness>,
    /// Whoever is still at it.
    left: JoinSet<anyhow::Result<Option<Witness>>>,
}

impl Bought {
    /// Whoever is still at it gives up.
    pub fn end(&mut self) {
        self.left.abort_all();
    }
}

/// Puts a show on sale that has enough for everybody.
///
/// # Errors
/// The box office refuses.
pub async fn scene(office: &Office, orders: u32) -> anyhow::Result<Arc<Scene>> {
    let dev = &office.running;
    let shop = Shop::new(dev.base_url())?;
    let stages = vec![stage::set(&shop, dev, Market::Vnd, orders, PAY_WITHIN_S).await?];
    let support = dev.token("drill-support", &[Role::Support])?;
    let bank = Bank::new(&dev.sandbox_url())?;
    Ok(Arc::new(Scene { shop, bank, stages, tally: Tally::default(), support, percent: 0, seed: 1 }))
}

/// The same show at a box office that was started again.
///
/// # Errors
/// No client can be made.
pub fn moved(scene: &Scene, office: &Office) -> anyhow::Result<Arc<Scene>> {
    let dev = &office.running;
    let (shop, bank) = (Shop::new(dev.base_url())?, Bank::new(&dev.sandbox_url())?);
    let (stages, support) = (scene.stages.clone(), dev.token("drill-support", &[Role::Support])?);
    Ok(Arc::new(Scene { shop, bank, stages, tally: Tally::default(), support, percent: 0, seed: 2 }))
}

/// Lets them buy, so many at once; in full swing, returns while many are at it.
///
/// # Errors
/// A buyer panicked.
pub async fn buy(scene: &Arc<Scene>, orders: u32, at_once: u16, in_full_swing: bool) -> anyhow::Result<Bought> {
    let turns = Arc::new(Semaphore::new(usize::from(at_once)));
    let mut left = JoinSet::new();
    for number in 0..orders {
        let (scene, turns) = (Arc::clone(scene), Arc::clone(&turns));
        left.spawn(async move {
            let _turn = turns.acquire_owned().await.expect("nobody closes it");
            one(&scene, number).await.with_context(|| format!("buyer {number}"))
        });
    }
    let enough = if in_full_swing { left.len() * SWING / 100 } else { left.len() };
    let (mut witnesses, mut wrong, mut through) = (Vec::new(), Vec::new(), 0);
    while through < enough {
        let Some(bought) = left.join_next().await else { break };
        through += 1;
        match bought.context("a buyer panicked")? {
            Ok(witness) => witnesses.extend(witness),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    witnesses.truncate(WITNESSES);
    let promised = scene.tally.seen().promised;
    Ok(Bought { promised, wrong, witnesses, left })
}

async fn one(scene: &Scene, number: u32) -> anyhow::Result<Option<Witness>> {
    let stage = &scene.stages[0];
    let quantity = 1 + i64::from(number % 3);
    let placed = place(scene, stage, &stage.plenty, (number, quantity), Provider::Payos).await?;
    let mut placed = placed.context("there are tickets for everybody")?;
    let mut dice = Dice::of(scene.seed, u64::from(number));
    let page = placed.page(Provider::Payos, &mut dice).await?.context("there is no page to pay at")?;
    if number % 10 == 9 {
        return Ok(None);
    }
    ensure!(scene.bank.pay(&page, &json!({})).await?, "the page is closed");
    let end = placed.served(PATIENCE).await?;
    ensure!(end == "tickets", "paid, and then: {end}");
    placed.tickets(quantity).await?;
    let (order, bearer) = placed.pass();
    let codes = codes(&scene.shop, order, &bearer).await?;
    Ok(Some((order, bearer, codes)))
}

async fn codes(shop: &Shop, order: OrderId, bearer: &str) -> anyhow::Result<Vec<String>> {
    let tickets: Paged<Ticket> = shop.get(&format!("/v1/orders/{order}/tickets"), Some(bearer)).await?;
    let mut codes: Vec<String> = tickets.items.into_iter().filter_map(|ticket| ticket.code).collect();
    codes.sort_unstable();
    Ok(codes)
}

/// The tokens of before open the same orders, and the tickets carry the codes that people have on their telephones.
///
/// # Errors
/// No client can be made.
pub async fn same_codes(office: &Office, bought: &Bought) -> anyhow::Result<Law> {
    let shop = Shop::new(office.running.base_url())?;
    let (mut faults, mut count) = (Faults::default(), 0);
    for (order, bearer, before) in &bought.witnesses {
        count += before.len();
        match codes(&shop, *order, bearer).await {
            Ok(now) if now == *before && !now.is_empty() => {}
            Ok(now) => faults.add(format!("order {order} had {} codes, and {} others now", before.len(), now.len())),
            Err(error) => faults.add(format!("order {order}: {error:#}")),
        }
    }
    Ok(Law::new("tickets carry the codes that were handed out", format!("{count} codes looked at"), faults))
}

/// Nobody met what should not happen.
pub fn all_went_well(before: &Bought, after: &Bought) -> Law {
    let faults: Faults = before.wrong.iter().chain(&after.wrong).cloned().collect();
    let numbers = format!("{} orders before, {} after", before.promised.orders.len(), after.promised.orders.len());
    Law::new("no buyer met what should not happen", numbers, faults)
}
