//! The page that people wait on, in a real browser as wide as a small phone, through the front door.

mod joining;

use serde_json::{Value, json};
use service_kit::clock;
use service_kit::views::moment;
use system_tests::browser::{Browser, Page};
use system_tests::entrance::Entrance;
use system_tests::purchase::{OnSale, class_body, id, key, show_body};
use system_tests::queue::{Visitor, room, with};
use system_tests::{World, run};

/// A browser before the door of a show with a queue.
struct Scene {
    world: &'static World,
    door: Entrance,
    sale: OnSale,
    page: Page,
    _browser: Browser,
}

impl Scene {
    /// With a waiting room of these settings.
    async fn of(room: &Value) -> Self {
        let world = World::shared().await;
        let door = Entrance::before(world);
        let class = id();
        // Any page does for a checkout, as long as it is nobody else's.
        let configuration =
            json!({"pay_within_s": 600, "checkout_url": door.url("/livez?checkout"), "waiting_room": room});
        let show = world.published(show_body(), &[(class, class_body(1000, 10))], &configuration).await;
        let (_browser, page) = Browser::start().await;
        Self { world, door, sale: OnSale { show, class, price: 1000 }, page, _browser }
    }

    /// The page's address.
    fn address(&self) -> String {
        self.door.url(&format!("/queue/{}", self.sale.show))
    }

    /// What the page keeps.
    async fn kept(&self, name: &str) -> Value {
        let show = self.sale.show;
        self.page.value(&format!("JSON.parse(localStorage.getItem('boxoffice-queue-{show}'))?.{name}")).await
    }

    /// Nothing went wrong by the browser's account, and nobody but us was asked for anything.
    fn is_clean(&self) {
        assert_eq!(self.page.errors(), Vec::<Value>::new());
        let ours = [self.door.url("/"), self.door.url("/").replace("http:", "ws:")];
        let foreign: Vec<String> =
            self.page.requests().into_iter().filter(|url| !ours.iter().any(|it| url.starts_with(it))).collect();
        assert_eq!(foreign, Vec::<String>::new());
    }

    /// People in front: the first of them is admitted and keeps the only slot.
    async fn crowd<const N: usize>(&self) -> [Visitor; N] {
        let mut crowd = Vec::new();
        for _ in 0..N {
            crowd.push(self.world.join(self.sale.show).await);
        }
        crowd[0].until("admitted").await;
        crowd.try_into().expect("so many have joined")
    }
}

/// The accessible nodes of a role: their names and values.
fn of_role(tree: &[Value], role: &str) -> Vec<(String, Value)> {
    let nodes = tree.iter().filter(|node| node["role"]["value"] == role);
    nodes
        .map(|node| (node["name"]["value"].as_str().unwrap_or_default().to_owned(), node["value"]["value"].clone()))
        .collect()
}

#[test]
fn a_person_waits_keeps_the_place_and_comes_to_the_checkout() {
    run(async {
        let mut scene = Scene::of(&room(1)).await;
        let [first, second, third] = scene.crowd().await;
        scene.page.goes_to(&scene.address()).await;
        let page = &scene.page;
        page.shows("#headline", "You are in the queue").await;
        page.shows("#detail", "2 people are ahead of you.").await;
        page.shows("#ahead", "2").await;
        page.shows("#place", "4").await;
        page.shows("h1", "Anh Trai").await;
        // This comes over the socket alone.
        page.shows("#left", "Tickets left: 10").await;
        assert_ne!(page.text("#wait").await, "");
        assert_eq!(page.text("#connection").await, "");
        page.until("document.title === '2 ahead of you · Anh Trai'").await;
        assert_eq!(page.sockets().len(), 1, "it is told over a socket");

        is_accessible(page).await;
        fits(page).await;
        scene.is_clean();

        // Nothing of what follows is a page that was loaded again.
        page.value("window.sameAsBefore = true").await;
        second.leave().await;
        page.shows("#ahead", "1").await;
        page.shows("#detail", "1 person is ahead of you.").await;
        assert_eq!(page.text("#place").await, "4");
        scene.is_clean();

        scene.door.shut().await;
        scene.page.shows("#connection", INTERRUPTED).await;
        third.leave().await;
        scene.door.open();
        let page = &scene.page;
        page.shows("#detail", "You are next.").await;
        page.shows("#connection", "").await;
        page.until("window.sameAsBefore === true").await;
        assert!(page.sockets().len() > 1, "it has a socket again");
        page.forget();

        let (session, guest) = (scene.kept("session").await, scene.kept("key").await);
        page.reloads().await;
        page.until("window.sameAsBefore === undefined").await;
        page.shows("#detail", "You are next.").await;
        page.shows("#place", "4").await;
        page.shows("#left", "Tickets left: 10").await;
        assert_eq!((scene.kept("session").await, scene.kept("key").await), (session, guest));
        assert!(!page.requests().contains(&scene.door.url(&format!("/v1/shows/{}/queue", scene.sale.show))));

        first.leave().await;
        page.shows("#headline", "It is your turn").await;
        page.shows("#go", "Go to the checkout").await;
        page.until("document.title.startsWith('Your turn! ')").await;
        page.until("document.querySelector('#clock').innerText.startsWith('Go on within ')").await;
        page.until("document.querySelector('#spoken').innerText.startsWith('It is your turn')").await;
        fits(page).await;
        page.taps("#go").await;
        page.until("location.pathname + location.search === '/livez?checkout'").await;
        scene.is_clean();
        let query = "Object.fromEntries(new URLSearchParams(location.hash.slice(1)))";
        let given = page.value(query).await;
        assert_eq!(given["show"], scene.sale.show.to_string());
        let token = given["checkout_token"].as_str().expect("the checkout is given a token");
        scene.sale.order_with(&scene.world.client, token, id(), &key(), 1).await.is(201);
        // Whoever comes back finds the way again.
        page.goes_to(&scene.address()).await;
        page.shows("#headline", "You are in the checkout").await;
        page.shows("#go", "Back to the checkout").await;
    });
}

const INTERRUPTED: &str = "The connection is interrupted. Your place is kept for a while; this page goes on trying.";

/// Whoever cannot see learns the same.
async fn is_accessible(page: &Page) {
    let tree = page.accessible().await;
    let headings: Vec<String> = of_role(&tree, "heading").into_iter().map(|(name, _)| name).collect();
    assert_eq!(headings, ["Anh Trai", "You are in the queue", "What happens next"]);
    let bars = of_role(&tree, "progressbar");
    let [(name, value)] = &bars[..] else { panic!("one progress bar: {bars:?}") };
    assert_eq!(name, "Your way to the front");
    assert!(!value.is_null(), "a progress bar has a value");
    assert_eq!(of_role(&tree, "status").len(), 1, "one thing is told aloud");
    let region = "(({ariaLive, role}) => [ariaLive ?? '', role ?? ''].join())(document.querySelector('#spoken'))";
    assert_eq!(page.value(region).await, "polite,status");
    let spoken = page.value("document.querySelector('#spoken').textContent").await;
    assert!(spoken.as_str().is_some_and(|it| it.contains("2 people are ahead of you.")), "{spoken}");
}

/// Nothing has to be pushed aside to be read, on the narrowest of phones either.
async fn fits(page: &Page) {
    for width in [320, 360] {
        page.is_wide(width).await;
        let widths = "[document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]";
        page.until(&format!("document.documentElement.clientWidth === {width}")).await;
        assert_eq!(page.value(widths).await, json!([width, width, width]));
    }
}

#[test]
fn who_comes_early_sees_when_it_opens_and_then_the_place_that_was_drawn() {
    run(async {
        let opens_at = moment(clock::now().plus_s(25));
        let scene = Scene::of(&with(room(1), &json!({"opens_at": opens_at}))).await;
        let page = &scene.page;
        page.goes_to(&scene.address()).await;
        page.shows("#headline", "You are early").await;
        page.until("/^It opens in 0:\\d\\d\\.$/.test(document.querySelector('#clock').innerText)").await;
        page.until("/^The draw was sealed .* Its seal: [0-9a-f]{64}$/.test(document.querySelector('#seal').innerText)")
            .await;
        fits(page).await;
        page.shows("#headline", "It is your turn").await;
        assert_eq!(page.text("#seal").await, "");
        scene.is_clean();
    });
}

#[test]
fn without_a_socket_the_page_asks_at_the_pace_it_is_told() {
    run(async {
        let scene = Scene::of(&room(1)).await;
        let [first, second] = scene.crowd().await;
        let page = &scene.page;
        page.before_every_page("delete window.WebSocket").await;
        page.goes_to(&scene.address()).await;
        page.shows("#detail", "1 person is ahead of you.").await;
        second.leave().await;
        page.shows("#detail", "You are next.").await;
        first.leave().await;
        page.shows("#headline", "It is your turn").await;
        assert_eq!(page.sockets(), Vec::<String>::new());
        scene.is_clean();
    });
}

#[test]
fn a_person_learns_of_a_pause_and_gives_the_place_up() {
    run(async {
        let scene = Scene::of(&with(room(1), &json!({"tick_ms": 200}))).await;
        let [first] = scene.crowd().await;
        let page = &scene.page;
        page.goes_to(&scene.address()).await;
        page.shows("#detail", "You are next.").await;
        let mode = format!("/v1/shows/{}/queue/mode", scene.sale.show);
        let organizer = scene.world.organizer();
        organizer.post(&mode, &json!({"mode": "pause"})).await.is(200);
        page.shows("#headline", "The queue is paused").await;
        page.shows("#wait", "paused").await;
        first.leave().await;
        page.taps("#leave").await;
        page.shows("#really", "Give up your place?").await;
        page.taps("#stay").await;
        page.shows("#really", "").await;
        page.shows("#headline", "The queue is paused").await;
        page.taps("#leave").await;
        page.taps("#give").await;
        page.shows("#headline", "You gave up your place").await;
        assert_eq!(page.value("localStorage.length").await, 0);

        page.taps("#go").await;
        page.shows("#headline", "The queue is paused").await;
        page.taps("#leave").await;
        page.shows("#really", "Give up your place?").await;
        organizer.post(&mode, &json!({"mode": "queue"})).await.is(200);
        page.shows("#headline", "It is your turn").await;
        assert_eq!(page.text("#really").await, "", "the question is gone when it is one's turn");
        scene.is_clean();

        organizer.post(&mode, &json!({"mode": "reject"})).await.is(200);
        page.value("localStorage.clear()").await;
        page.reloads().await;
        page.shows("#headline", "You cannot join now").await;
        page.shows("#detail", "Nobody may join the queue now.").await;
        page.shows("#go", "Try again").await;
    });
}
