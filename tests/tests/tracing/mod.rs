//! A purchase that is traced is one trace, from the request through every record and every process; what is not traced has
//! none of it, and nobody waits for a collector.

mod collector;
mod metrics;

use std::collections::{BTreeMap, BTreeSet};

use domain::event::Event;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::journal::Kind;
use system_tests::purchase::{OnSale, eventually, id};
use system_tests::{Client, Installation, run, world};
use uuid::Uuid;

use collector::{Collector, Seen};
use ops::topology::Counts;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const NAMES: &str = include_str!("../../../docs/observability.md");

/// Orders and pays, as a caller that traces or as one that does not; gives the finished order.
async fn buy(shop: &Installation, sale: &OnSale, flags: &str) -> (Uuid, Client, Value) {
    let parent = format!("00-{TRACE}-{CALLER}-{flags}");
    let order = id();
    let ask = shop.client.request(Method::PUT, &format!("/v1/orders/{order}"));
    let made = shop.client.send(ask.header("traceparent", &parent).json(&sale.order(2))).await.is(201);
    let holder = shop.client.with(&made.text("access_token"));
    let link = shop.payment_page(order, &holder).await;
    shop.pay(&link, &json!({})).await;
    shop.until(order, &holder, "completed").await;
    let look = holder.request(Method::GET, &format!("/v1/orders/{order}")).header("traceparent", &parent);
    (order, holder.clone(), holder.send(look).await.is(200).body)
}

#[test]
fn a_traced_purchase_is_one_trace_and_an_unreachable_collector_disturbs_nobody() {
    run(async {
        let mut collector = Collector::start().await;
        let counts = Counts { query_apis: 1, ..Counts::TWO };
        let settings = [
            ("BOXOFFICE_OTLP_ENDPOINT", collector.url.as_str()),
            ("BOXOFFICE_TRACE_SAMPLE", "0"),
            ("BOXOFFICE_TRACE_CALLERS", "everybody"),
        ];
        let shop = Installation::with(world::stack().await.unwrap(), counts, &settings).await;
        let sale = shop.on_sale(250_000, 10, 600).await;
        let mut journal = shop.journal().await;
        let before = journal.news().await;
        assert!(before.entries.iter().all(|entry| entry.trace.is_none()), "nobody traced the show");

        let (_, _, seen) = buy(&shop, &sale, "01").await;
        let news = journal.news().await;
        let places: BTreeSet<_> = news.entries.iter().map(|entry| entry.partition.context.topic()).collect();
        for entry in &news.entries {
            let expected = (entry.kind == Kind::Event).then(|| TRACE.to_owned());
            assert_eq!(entry.trace, expected, "{} {} {:?}", entry.partition, entry.offset, entry.kind);
        }
        assert!(places.len() >= 4, "{places:?}");
        let named: BTreeSet<&str> = news.events.iter().map(Event::name).collect();
        for name in ["TicketsReserved", "OrderCreated", "PaymentCompleted", "TicketsIssued", "OrderCompleted"] {
            assert!(named.contains(name), "{name} in {named:?}");
        }
        let spans = whole(&collector).await;
        parents_are_right(&spans);
        nothing_personal(&spans, &seen);
        print(&spans);
        metrics::are_as_listed(&shop).await;

        collector.stop().await;
        buy(&shop, &sale, "01").await;
        let (order, ..) = buy(&shop, &sale, "00").await;
        let untraced = journal.news().await;
        let of_order = untraced.entries.iter().filter(|entry| entry.key == order.to_string());
        assert!(of_order.clone().count() > 3);
        assert_eq!(of_order.filter(|entry| entry.trace.is_some()).count(), 0, "it was not to be traced");
        shop.stop().await;
    });
}

/// Every step of the purchase, once all have come.
async fn whole(collector: &Collector) -> Vec<Seen> {
    let wanted = [
        ("command-api", "PUT /v1/orders/{order}"),
        ("command-api", "command inventory"),
        ("command-api", "saga order"),
        ("command-api", "command order"),
        ("command-api", "saga payment"),
        ("command-api", "command payment"),
        ("command-api", "effect create payment"),
        ("command-api", "create"),
        ("command-api", "saga inventory"),
        ("command-api", "saga tickets"),
        ("command-api", "command tickets"),
        ("projectors", "project inventory"),
        ("projectors", "project orders"),
        ("projectors", "project payments"),
        ("projectors", "project ledger"),
        ("projectors", "project tickets"),
        ("query-api", "GET /v1/orders/{order}"),
    ];
    eventually("every step is sent", async || {
        let spans = collector.seen();
        let of = |(service, name): &(&str, &str)| spans.iter().any(|it| it.service == *service && it.name == *name);
        let missing: Vec<_> = wanted.iter().filter(|it| !of(it)).collect();
        if !missing.is_empty() {
            let seen: BTreeSet<_> = spans.iter().map(|it| (&it.service, &it.name)).collect();
            eprintln!("missing {missing:?} in {seen:?}");
        }
        missing.is_empty().then_some(spans)
    })
    .await
}

/// What each step may stand below.
fn parents_are_right(spans: &[Seen]) {
    let by_id: BTreeMap<&str, &Seen> = spans.iter().map(|it| (it.span.as_str(), it)).collect();
    assert_eq!(by_id.len(), spans.len(), "no step has another's name");
    for span in spans {
        assert_eq!(span.trace, TRACE, "{span:?}");
        let parent = by_id.get(span.parent.as_str()).map(|parent| parent.name.as_str());
        let words = |name: &str| name.split(' ').next().unwrap_or_default().to_owned();
        let stands_right = match words(&span.name).as_str() {
            "PUT" | "GET" => span.parent == CALLER,
            "saga" | "effect" | "project" => parent.is_some_and(|parent| parent.starts_with("command")),
            "forwarded" => parent.is_some_and(|parent| ["PUT", "saga", "effect"].contains(&words(parent).as_str())),
            "command" => parent.is_some_and(|parent| {
                // The webhook of a provider knows no trace: its command goes on with the payment's.
                ["PUT", "saga", "effect", "forwarded"].contains(&words(parent).as_str())
            }),
            _ => parent.is_some_and(|parent| parent.starts_with("effect")),
        };
        assert!(stands_right, "{} stands below {parent:?}", span.name);
    }
}

/// Only names that the document lists, and nothing of the buyer.
fn nothing_personal(spans: &[Seen], order: &Value) {
    let said = format!("{spans:?}");
    let buyer = &order["buyer"];
    let texts: Vec<&str> = buyer.as_object().into_iter().flat_map(|it| it.values()).filter_map(Value::as_str).collect();
    assert!(!texts.is_empty(), "{order:#}");
    for text in texts {
        assert!(!said.contains(text), "a span says {text:?}");
    }
    for name in spans.iter().flat_map(|it| it.attributes.keys()) {
        assert!(NAMES.contains(&format!("| `{name}` |")), "docs/observability.md does not list {name}");
    }
}

/// For whoever reads the test's output.
fn print(spans: &[Seen]) {
    for span in spans {
        eprintln!("{} < {} {:>7} us {:12} {}", span.span, span.parent, span.took_us, span.service, span.name);
    }
}
