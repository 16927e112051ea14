//! What operators watch of the sale as the read models tell it: tickets held and sold, money on its way, what waits for a
//! person.
//!
//! Every instance shows the same; each question goes by an index, so that it costs little however much was sold.

use std::collections::BTreeSet;
use std::time::Duration;

use service_kit::clock;
use sqlx::FromRow;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::database::{Database, Failed};
use crate::http::App;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(15);
/// Money that moved is told for so long back.
const BACK_US: i64 = 3_600_000_000;

/// Every class of every show.
const TICKETS: &str = "
select coalesce(sum(reserved), 0)::bigint as held, coalesce(sum(sold), 0)::bigint as sold,
    coalesce(sum(available), 0)::bigint as available
from availability";

/// What lies with a provider, with a person, or with nobody.
const OPEN: &str = "
select 'refund_' || status as status, coalesce(currency, 'XXX') as currency, count(*) as things, sum(amount)::bigint as amount
from refunds where status <> 'done' group by 1, 2
union all
select 'quarantined', currency, count(*), sum(amount)::bigint from quarantined_money group by 2";

/// Each movement by the one line that it adds to an account.
const MOVED: &str = "
select kind as status, currency, count(*) as things, sum(amount)::bigint as amount
from ledger
where account in ('provider', 'sales', 'refunds_due') and at_us >= $1 and amount > 0
group by 1, 2";

const STUCK: &str = "select count(*) from orders where phase = 'stuck'";

#[derive(FromRow)]
struct Tickets {
    held: i64,
    sold: i64,
    available: i64,
}

#[derive(FromRow)]
struct Money {
    status: String,
    currency: String,
    things: i64,
    amount: i64,
}

/// What is shown under which labels, so that it is shown as nothing once it is gone.
#[derive(Default)]
struct Shown(BTreeSet<(&'static str, String, String)>);

/// Shows figures until the process ends; a database that is away leaves them as they were.
pub async fn run(database: Database, app: App, shutdown: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = Shown::default();
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        show_streams(app.open_streams());
        if let Err(Failed(error)) = look(&database, &mut shown).await {
            tracing::debug!(%error, "the figures of the sale could not be read");
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "connections are far below 2^52")]
fn show_streams(open: usize) {
    metrics::gauge!("boxoffice_event_streams").set(open as f64);
}

#[allow(clippy::cast_precision_loss, reason = "tickets are far below 2^52")]
async fn look(database: &Database, shown: &mut Shown) -> Result<(), Failed> {
    let pool = database.pool();
    let tickets: Tickets = database.ask(sqlx::query_as(TICKETS).fetch_one(pool)).await?;
    for (state, count) in [("held", tickets.held), ("sold", tickets.sold), ("available", tickets.available)] {
        metrics::gauge!("boxoffice_tickets", "state" => state).set(count as f64);
    }
    let stuck: i64 = database.ask(sqlx::query_scalar(STUCK).fetch_one(pool)).await?;
    metrics::gauge!("boxoffice_orders_stuck").set(stuck as f64);
    let open: Vec<Money> = database.ask(sqlx::query_as(OPEN).fetch_all(pool)).await?;
    shown.show(("boxoffice_money_open", "boxoffice_money_open_minor"), &open);
    let since = clock::now().0 - BACK_US;
    let moved: Vec<Money> = database.ask(sqlx::query_as(MOVED).bind(since).fetch_all(pool)).await?;
    shown.show(("boxoffice_money_moved", "boxoffice_money_moved_minor"), &moved);
    Ok(())
}

impl Shown {
    #[allow(clippy::cast_precision_loss, reason = "what is lost of an amount does not show on a dashboard")]
    fn show(&mut self, (things, minor): (&'static str, &'static str), money: &[Money]) {
        let set = |status: &str, currency: &str, count: i64, amount: i64| {
            let labels = [("status", status.to_owned()), ("currency", currency.to_owned())];
            metrics::gauge!(things, &labels).set(count as f64);
            metrics::gauge!(minor, &labels).set(amount as f64);
        };
        let now = money.iter().map(|it| (things, it.status.clone(), it.currency.clone()));
        let (now, before) = (now.collect::<BTreeSet<_>>(), std::mem::take(&mut self.0));
        for (_, status, currency) in before.iter().filter(|of| of.0 == things && !now.contains(of)) {
            set(status, currency, 0, 0);
        }
        money.iter().for_each(|it| set(&it.status, &it.currency, it.things, it.amount));
        self.0 = before.into_iter().filter(|of| of.0 != things).chain(now).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(status: &str, things: i64) -> Money {
        Money { status: status.to_owned(), currency: "VND".to_owned(), things, amount: things * 1000 }
    }

    #[test]
    fn what_is_gone_is_shown_as_nothing() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let mut shown = Shown::default();
            let names = ("boxoffice_money_open", "boxoffice_money_open_minor");
            shown.show(names, &[money("refund_due", 2), money("quarantined", 1)]);
            shown.show(("boxoffice_money_moved", "boxoffice_money_moved_minor"), &[money("captured", 5)]);
            shown.show(names, &[money("refund_due", 3)]);
        });
        let text = recorder.handle().render();
        for line in [
            "boxoffice_money_open{status=\"refund_due\",currency=\"VND\"} 3",
            "boxoffice_money_open_minor{status=\"refund_due\",currency=\"VND\"} 3000",
            "boxoffice_money_open{status=\"quarantined\",currency=\"VND\"} 0",
            "boxoffice_money_moved{status=\"captured\",currency=\"VND\"} 5",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
