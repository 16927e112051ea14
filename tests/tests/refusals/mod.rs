//! Every refusal: answered as written, and leaving nothing behind.

mod accounts;
mod checkout;
mod orders;
mod over;
mod protocol;
mod queue;
mod shows;

use system_tests::journal::Journal;
use system_tests::{Answer, World};

/// A world in which nothing happens but what a test does.
pub struct Quiet {
    pub world: World,
    journal: Journal,
}

impl Quiet {
    pub async fn start() -> Self {
        let world = World::start().await;
        let journal = world.journal();
        Self { world, journal }
    }

    /// What was written so far is of no interest.
    pub async fn settle(&mut self) {
        // A saga that still writes would be taken for what a refusal leaves behind.
        loop {
            self.journal.news().await;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            if self.journal.news().await.written() == 0 {
                return self.world.caught_up(&self.journal).await;
            }
        }
    }

    /// What came back of a request that must not leave anything behind.
    pub async fn of(&mut self, request: impl Future<Output = Answer>) -> Answer {
        let answer = request.await;
        let news = self.journal.news().await;
        assert_eq!(news.written(), 0, "{answer:#?} left behind: {:#?}", news.events);
        answer
    }

    /// Requests that must not leave anything behind.
    pub async fn of_all<T>(&mut self, requests: impl Future<Output = T>) -> T {
        let answers = requests.await;
        let news = self.journal.news().await;
        assert_eq!(news.written(), 0, "left behind: {:#?}", news.events);
        answers
    }
}

/// What these tests rest on: whatever is written is noticed.
#[test]
#[should_panic(expected = "left behind")]
fn a_trace_is_noticed() {
    system_tests::run(async {
        let mut quiet = Quiet::start().await;
        let sale = quiet.world.on_sale(0, 1, 60).await;
        quiet.settle().await;
        let client = quiet.world.client.clone();
        let path = format!("/v1/orders/{}", system_tests::purchase::id());
        quiet.of(client.put(&path, &sale.order(1))).await.is(201);
    });
}
