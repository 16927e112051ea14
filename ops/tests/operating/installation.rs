//! A whole installation: well until its projector freezes; a purchase in causal order; planted mistakes found.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use domain::root::Context;
use local_stack::Signal;
use ops::demo;
use ops::dev::{self, Running};
use ops::doctor::{Finding, Judgement, Patient, examine};
use ops::site::{Site, SiteArgs};
use ops::status::{self, Status, Verdict};
use ops::topology::{Counts, Process};
use ops::trace::{self, Step};
use service_kit::config::Env;
use service_kit::random;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::support::{installation, small_sale};

/// Found by nothing but the folder.
fn site(folder: &Path) -> Site {
    let args = SiteArgs { namespace: None, folder: Some(folder.to_owned()) };
    Site::of(Env::default(), &args).unwrap()
}

/// What needs a person, but for refunds: buyers of the demo pay late, and PayOS gives nothing back by itself.
fn problems(page: &Status) -> Vec<&str> {
    let others = page.problems.iter().filter(|it| it.command != "boxctl refund list");
    others.map(|it| it.what.as_str()).collect()
}

/// The page as soon as it is like that; the last one if it never is.
async fn page_when(site: &Site, late_s: i64, wanted: fn(&Status) -> bool) -> Status {
    for _ in 0..60 {
        let page = status::look(site, late_s).await.unwrap();
        if wanted(&page) {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    status::look(site, late_s).await.unwrap()
}

fn is_well(page: &Status) -> bool {
    problems(page).is_empty() && page.unseen.is_empty()
}

async fn completed(running: &Running) -> Uuid {
    let pool = PgPool::connect(&running.endpoints().postgres).await.unwrap();
    let sql =
        format!("select order_id from \"{}\".orders where status = 'completed' limit 1", running.plan().namespace);
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&pool).await.unwrap()
}

/// Each after the other, not necessarily at once.
fn follow(steps: &[Step], wanted: &[&str]) {
    let mut names = steps.iter().map(|step| step.event);
    for name in wanted {
        assert!(names.any(|it| it == *name), "{name} does not come in its turn: {steps:#?}");
    }
}

async fn traced(site: &Site, order: Uuid) {
    let steps = trace::look(site, order, None, false).await.unwrap();
    follow(
        &steps,
        &["QueueJoined", "QueueReady", "CheckoutStarted", "TicketsReserved", "OrderCreated", "PaymentRequested"],
    );
    follow(
        &steps,
        &[
            "PaymentIntentCreated",
            "PaymentCompleted",
            "OrderPaid",
            "ReservationConfirmed",
            "TicketsIssued",
            "OrderCompleted",
            "CheckoutCompleted",
        ],
    );
    let place = |wanted: &str| steps.iter().find(|step| step.event == wanted).unwrap();
    assert_eq!((place("OrderCreated").cause, place("OrderCreated").depth), ("TicketsReserved", 1));
    assert_eq!(place("PaymentIntentCreated").cause, "PaymentRequested");
    assert_eq!(place("PaymentCompleted").cause, "provider");
    assert_eq!(place("OrderCompleted").cause, "TicketsIssued");
    for (n, step) in steps.iter().enumerate() {
        let known = steps.iter().position(|it| it.event_id == step.causation_id);
        assert!(known.is_none_or(|cause| cause < n), "{step:?} stands before its cause");
    }
    let text = serde_json::to_string(&steps).unwrap();
    assert!(!text.contains('@') && !text.contains("guest:"), "somebody is named: {text}");
    // By any id of it; and without the read models the same comes from the log alone.
    let ids = |steps: &[Step]| steps.iter().map(|step| step.event_id).collect::<Vec<_>>();
    let by_request = trace::look(site, place("OrderPaid").correlation_id, None, false).await.unwrap();
    assert_eq!(ids(&by_request), ids(&steps));
    let alone = Site { postgres: None, ..site.clone() };
    assert_eq!(ids(&trace::look(&alone, order, None, true).await.unwrap()), ids(&steps));
    assert!(trace::look(site, random::id(), None, false).await.unwrap().is_empty());
}

async fn found(site: &Site, env: &[(&str, String)]) -> Vec<Finding> {
    let env: BTreeMap<String, String> = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    examine(&Patient { env, process: None, site: site.clone() }).await.unwrap()
}

fn wrong(findings: &[Finding]) -> Vec<&str> {
    let wrong = findings.iter().filter(|it| it.judgement == Judgement::Wrong);
    wrong.map(|it| it.check.as_str()).collect()
}

async fn doctored(site: &Site, running: &Running) {
    let secrets = &running.plan().secrets;
    let ours = [("BOXOFFICE_SECRET", secrets.secret.clone()), ("BOXOFFICE_MASTER_KEY", secrets.master_key.clone())];
    let healthy = found(site, &ours).await;
    assert_eq!(wrong(&healthy), [""; 0], "{healthy:#?}");
    for check in [
        "kafka",
        "topics",
        "schema registry",
        "instances",
        "postgres",
        "projections",
        "master key",
        "lasting secret",
        "clocks",
    ] {
        assert!(healthy.iter().any(|it| it.check == check), "{check} was not looked at: {healthy:#?}");
    }
    let swapped = [("BOXOFFICE_SECRET", secrets.master_key.clone()), ("BOXOFFICE_MASTER_KEY", secrets.secret.clone())];
    assert_eq!(wrong(&found(site, &swapped).await), ["master key", "lasting secret"]);
    let unknown = [("BOXOFFICE_POSTGRESS", "x".to_owned())];
    assert_eq!(wrong(&found(site, &unknown).await), ["variable names"]);
    let elsewhere = Site {
        postgres: Some("postgres://nobody@127.0.0.1:1/x".to_owned()),
        registry: "http://127.0.0.1:1".to_owned(),
        ..site.clone()
    };
    assert_eq!(wrong(&found(&elsewhere, &[]).await), ["schema registry", "postgres"]);
    let empty = Site { namespace: "nothing-was-made-here".to_owned(), partitions: None, ..site.clone() };
    let findings = found(&empty, &[]).await;
    assert!(wrong(&findings).contains(&"topics") && wrong(&findings).contains(&"projections"), "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_well_until_its_projector_freezes() {
    let folder = tempfile::tempdir().unwrap();
    let running = installation("oper", Counts::ONE, folder.path()).await;
    demo::run(small_sale(), running.clone()).await.unwrap();
    let site = site(folder.path());
    assert_eq!(site.namespace, running.plan().namespace);

    let page = page_when(&site, 30, is_well).await;
    assert!(is_well(&page), "{page:#?}");
    assert_eq!(page.verdict == Verdict::Well, page.problems.is_empty());
    let services: Vec<&str> = page.services.iter().filter_map(|it| it.service.as_deref()).collect();
    assert_eq!(services, ["command-api", "projectors", "query-api"]);
    assert!(page.services.iter().all(|it| it.ready && it.version.is_some() && it.uptime_s.is_some()));
    let partitions = page.partitions.unwrap();
    let all = Context::ALL.len() * usize::try_from(running.plan().partitions).unwrap();
    assert_eq!((partitions.all, partitions.serving, partitions.owners["command-api-1"]), (all, all, all));
    assert!(page.projections.iter().all(|it| it.generation.is_some() && it.not_begun == 0), "{:?}", page.projections);
    let business = page.business.unwrap();
    assert!(
        business.orders["completed"] > 0 && !business.money.is_empty() && business.holds.orders == 0,
        "{business:?}"
    );

    traced(&site, completed(&running).await).await;
    doctored(&site, &running).await;

    running.kill(Process::Projectors, Signal::Stop).await.unwrap();
    // Something that it will not fold.
    let token = running.token("organizer", &[domain::value::Role::Organizer]).unwrap();
    let body = serde_json::json!({
        "name": "Later", "starts_at": "2027-06-01T12:00:00Z", "ends_at": "2027-06-01T15:00:00Z",
        "time_zone": "Asia/Ho_Chi_Minh", "venue": {"name": "My Dinh", "city": "Hanoi"}, "currency": "VND",
        "categories": ["concert"]
    });
    let put = reqwest::Client::new().put(format!("{}/v1/shows/{}", running.base_url(), random::id()));
    let put = put.bearer_auth(token).header("idempotency-key", random::id().to_string()).json(&body);
    assert_eq!(put.send().await.unwrap().status(), 201);
    let late = |page: &Status| problems(page).iter().any(|it| it.starts_with("shows is "));
    let page = page_when(&site, 0, late).await;
    let told = problems(&page);
    assert_eq!(page.verdict, Verdict::NeedsAPerson, "{page:#?}");
    for wanted in ["projectors-1 is not ready: does not answer", "no projectors answers", "shows is "] {
        assert!(told.iter().any(|it| it.contains(wanted)), "{wanted}: {told:?}");
    }
    running.kill(Process::Projectors, Signal::Continue).await.unwrap();
    let page = page_when(&site, 30, is_well).await;
    assert!(is_well(&page), "{page:#?}");
    let (endpoints, namespace) = (running.endpoints().clone(), running.plan().namespace.clone());
    running.stop().await;
    assert!(dev::forget(&endpoints, &namespace).await.is_empty());
}
