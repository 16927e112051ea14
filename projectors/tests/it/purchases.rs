//! What readers see of orders, in each way that they can go.

use domain::inventory::ReleaseReason;
use domain::order::{self, Step};
use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use crate::database::{Database, Running, told};
use crate::lanes::Lanes;
use crate::story::{
    PRICE, QUANTITY, Story, WAYS, Way, class_id, code, everything, order_id, payment_id, principal, released, reserved,
    show_id,
};

struct Shop {
    database: Database,
    lanes: Lanes,
    running: Running,
    told: usize,
    story: Story,
}

impl Shop {
    async fn open() -> Self {
        let (database, lanes) = (Database::new().await, Lanes::new());
        let running = database.run(&lanes);
        let mut shop = Self { database, lanes, running, told: 0, story: Story::default() };
        shop.story.show(1);
        shop.shown().await;
        shop
    }

    /// Tells what is new in the story, and waits until it is shown.
    async fn shown(&mut self) {
        let new = &self.story.told[self.told..];
        new.iter().for_each(|told| self.lanes.tell(told));
        self.told = self.story.told.len();
        self.database.caught_up(&self.lanes).await;
    }

    async fn status(&mut self, n: u128) -> Value {
        self.shown().await;
        let orders = self.database.view_where("orders", "order_id", order_id(n)).await;
        orders.first().map_or(Value::Null, |order| json!([order["status"], order["reason"]]))
    }

    async fn availability(&mut self) -> Value {
        self.shown().await;
        let classes = self.database.view("availability").await;
        json!([classes[0]["reserved"], classes[0]["sold"], classes[0]["available"]])
    }

    async fn close(self) {
        self.running.stop().await;
        self.database.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_seen_step_by_step() {
    let mut shop = Shop::open().await;
    assert_eq!(shop.availability().await, json!([0, 0, 1000]));
    assert_eq!(shop.status(1).await, Value::Null);
    shop.story.stock(1, reserved(1, 1, 1, false));
    assert_eq!(shop.status(1).await, json!(["reserved", null]));
    assert_eq!(shop.availability().await, json!([2, 0, 998]));
    shop.story.created(1, 1, false);
    assert_eq!(shop.status(1).await, json!(["reserved", null]));
    shop.story.asked(1, 1, 1);
    assert_eq!(shop.status(1).await, json!(["awaiting_payment", null]));
    shop.story.received(1, 1, 1).paid(1, 1, Some(1));
    assert_eq!(shop.status(1).await, json!(["awaiting_payment", null]));
    shop.story.delivered(1, 1);
    assert_eq!(shop.status(1).await, json!(["completed", null]));
    assert_eq!(shop.availability().await, json!([0, 2, 998]));
    let order = shop.database.view("orders").await.remove(0);
    let line = json!({"ticket_class": class_id(1), "quantity": QUANTITY, "unit_price": PRICE});
    assert_eq!(order["lines"], json!([line]));
    assert_eq!(order["total"], 2 * PRICE);
    assert_eq!(order["buyer"], "\\x010203");
    assert_eq!((&order["code"], &order["principal"]), (&json!(code(1)), &json!(principal(1))));
    assert_eq!((&order["paid_by"], &order["ticket_count"]), (&json!(payment_id(1, 1)), &json!(2)));
    assert_eq!((&order["stock"], &order["refund_status"]), (&json!("confirmed"), &Value::Null));
    let payment = shop.database.view("payments").await.remove(0);
    assert_eq!((&payment["status"], &payment["received"]), (&json!("completed"), &json!(2 * PRICE)));
    assert_eq!((&payment["url"], &payment["reference"]), (&json!("https://pay.example/1/1"), &json!("link-1-1")));
    let tickets = shop.database.view("tickets").await;
    assert_eq!(tickets.len(), 2);
    assert!(tickets.iter().all(|ticket| ticket["status"] == "valid" && ticket["order_id"] == json!(order_id(1))));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_ends_as_the_contract_says() {
    let lanes = told(&everything());
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    for (n, way) in (0..).zip(WAYS.iter().cycle().take(4 * WAYS.len())) {
        let order = database.view_where("orders", "order_id", order_id(100 + n)).await.remove(0);
        let (status, reason, refund) = expected(*way);
        let shown = (&order["status"], &order["reason"]);
        assert_eq!(shown, (&json!(status), &json!(reason)), "{way:?}");
        let shown = json!([order["refund_status"], order["refund_amount"], order["refund_why"]]);
        assert_eq!(
            shown,
            refund.map_or(json!([null, null, null]), |(status, amount, why)| json!([status, amount, why])),
            "{way:?}"
        );
        let open = ["reserved", "awaiting_payment"].contains(&status);
        assert_eq!(order["phase"], if open { "open" } else { status }, "{way:?}");
    }
    // Of the 14 ways, in two thirds of the orders nothing is held at the end; each show has 28 orders.
    for class in database.view("availability").await.iter().filter(|class| class["show_id"] != json!(show_id(3))) {
        assert_eq!((&class["reserved"], &class["sold"]), (&json!(2 * 2 * 3), &json!(2 * 2 * 5)), "{class}");
    }
    let class = database.view_where("availability", "show_id", show_id(2)).await.remove(0);
    assert_eq!(
        (&class["price"], &class["capacity"], &class["available"]),
        (&json!(PRICE + 1), &json!(2000), &json!(1968))
    );
    let class = database.view_where("ticket_classes", "show_id", show_id(2)).await.remove(0);
    assert_eq!((&class["price"], &class["capacity"], &class["ordinal"]), (&json!(PRICE + 1), &json!(2000), &json!(2)));
    let class = database.view_where("availability", "show_id", show_id(3)).await.remove(0);
    assert_eq!(class["closed_reason"], "show_cancelled");
    let revoked = database.view_where("tickets", "status", "revoked").await;
    assert_eq!(revoked.len(), 4 * 2 + 4);
    let refunds = database.view_where("refunds", "status", "done").await;
    assert!(refunds.len() == 4 && refunds.iter().all(|it| it["reference"].is_string()), "{refunds:?}");
    let quarantined = database.view("quarantined_money").await;
    assert_eq!((quarantined.len(), &quarantined[0]["amount"]), (1, &json!(5)));
    assert_eq!(database.view("payments").await.iter().filter(|it| it["status"].is_null()).count(), 0);
    running.stop().await;
    database.drop().await;
}

/// How a refund stands, how much it is, and why.
type Back = (&'static str, i64, &'static str);

/// Status, reason, and what goes back.
fn expected(way: Way) -> (&'static str, Option<&'static str>, Option<Back>) {
    let total = PRICE * i64::from(QUANTITY);
    match way {
        Way::Reserved => ("reserved", None, None),
        Way::Awaiting => ("awaiting_payment", None, None),
        Way::Completed | Way::DeclinedThenCompleted | Way::LateAndReopened | Way::Free => ("completed", None, None),
        Way::OneTicketBack => ("completed", None, Some(("due", total / 2, "by_staff"))),
        Way::ByBuyer => ("cancelled", Some("by_buyer"), None),
        Way::Expired => ("cancelled", Some("expired"), None),
        Way::Failed => ("failed", Some("payment_failed"), None),
        Way::Stuck => ("stuck", None, None),
        Way::TooLate => ("cancelled", Some("expired"), Some(("due", total, "paid_too_late"))),
        Way::InPart => ("cancelled", Some("expired"), Some(("due", 1500, "paid_in_part"))),
        Way::ShowCancelled => ("cancelled", Some("show_cancelled"), Some(("done", total, "show_cancelled"))),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_id_of_another_show_fails_there_only() {
    let mut shop = Shop::open().await;
    shop.story.show(2).purchase(1, 1, Way::Completed);
    shop.story.stock(2, reserved(2, 1, 1, false));
    shop.shown().await;
    shop.story.stock(2, released(2, 1, ReleaseReason::OrderIdTaken, false));
    shop.shown().await;
    let mut orders = shop.database.view("orders").await;
    orders.sort_by_key(|order| order["show_id"] != json!(show_id(1)));
    assert_eq!((&orders[0]["status"], &orders[0]["reason"]), (&json!("completed"), &Value::Null));
    assert_eq!((&orders[1]["status"], &orders[1]["reason"]), (&json!("failed"), &json!("order_id_taken")));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_order_goes_on() {
    let mut shop = Shop::open().await;
    shop.story.purchase(1, 1, Way::Stuck);
    shop.shown().await;
    let order = shop.database.view("orders").await.remove(0);
    assert_eq!((&order["stuck_step"], &order["stuck_reason"]), (&json!("payment_status"), &json!("silent")));
    shop.story.received(1, 1, 1).paid(1, 1, Some(1));
    assert_eq!(shop.status(1).await, json!(["awaiting_payment", null]));
    let again = order::OrderStuck { order: order_id(1), show: show_id(1), step: Step::Saga, reason: "x".to_owned() };
    shop.story.order(1, order::Event::OrderStuck(again));
    assert_eq!(shop.status(1).await, json!(["stuck", null]));
    shop.story.delivered(1, 1);
    assert_eq!(shop.status(1).await, json!(["completed", null]));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_is_seen_and_found_by_its_words() {
    let mut shop = Shop::open().await;
    shop.shown().await;
    let show = shop.database.view("shows").await.remove(0);
    assert_eq!((&show["status"], &show["description"]), (&json!("published"), &Value::Null));
    assert_eq!((&show["pay_within_s"], &show["version"]), (&json!(900), &json!(7)));
    assert_eq!(show["categories"], json!(["Rock", "Live"]));
    assert_eq!(show["search_text"], "concert 1 nhà hát saigon rock live");
    let found = "select count(*) from {}.shows where search_vector @@ websearch_to_tsquery('simple', $1)";
    let found = found.replace("{}", &shop.database.names.views());
    for (words, count) in [("saigon rock", 1), ("nhà", 1), ("saigon jazz", 0)] {
        let query = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(found.clone())).bind(words);
        assert_eq!(query.fetch_one(&shop.database.pool).await.unwrap(), count, "{words}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_hear_of_orders_and_shows_that_they_can_read() {
    let mut shop = Shop::open().await;
    let names = &shop.database.names;
    let (orders, shows) = (names.orders_channel(), names.shows_channel());
    let mut listener = PgListener::connect_with(&shop.database.pool).await.unwrap();
    listener.listen_all([orders.as_str(), shows.as_str()]).await.unwrap();
    shop.story.purchase(1, 1, Way::Completed);
    shop.shown().await;
    let (mut of_orders, mut of_shows) = (false, false);
    while !(of_orders && of_shows) {
        let told = tokio::time::timeout(std::time::Duration::from_secs(10), listener.recv()).await.unwrap().unwrap();
        of_orders |= told.channel() == orders && told.payload() == order_id(1).0.simple().to_string();
        of_shows |= told.channel() == shows && told.payload() == show_id(1).0.simple().to_string();
    }
    drop(listener);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_balances_and_tells_where_all_money_is() {
    let lanes = told(&everything());
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let number = |row: &Value, field: &str| row[field].as_i64().unwrap();
    let lines = database.view("ledger").await;
    let mut by_event: BTreeMap<String, (i64, usize)> = BTreeMap::new();
    let mut accounts: BTreeMap<String, i64> = BTreeMap::new();
    for line in &lines {
        let event = by_event.entry(line["event_id"].to_string()).or_default();
        *event = (event.0 + number(line, "amount"), event.1 + 1);
        *accounts.entry(line["account"].as_str().unwrap().to_owned()).or_default() += number(line, "amount");
        assert_eq!((&line["provider"], &line["currency"]), (&json!("payos"), &json!("VND")), "{line}");
    }
    assert!(by_event.values().all(|sums| *sums == (0, 2)), "{by_event:?}");
    let payments = database.view("payments").await;
    let received: i64 = payments.iter().map(|payment| number(payment, "received")).sum();
    let refunds = database.view("refunds").await;
    let back = |status: Option<&str>| -> i64 {
        let refunds = refunds.iter().filter(|refund| status.is_none_or(|status| refund["status"] == status));
        refunds.map(|refund| number(refund, "amount")).sum()
    };
    let quarantined = number(&database.view("quarantined_money").await[0], "amount");
    let expected = [
        ("bank", -back(Some("done"))),
        ("provider", received + quarantined),
        ("quarantine", -quarantined),
        ("refunds_due", -back(Some("due"))),
        ("sales", -(received - back(None))),
    ];
    assert_eq!(accounts, expected.map(|(name, sum)| (name.to_owned(), sum)).into());
    running.stop().await;
    database.drop().await;
}
