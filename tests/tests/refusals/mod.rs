//! Every refusal: answered as written, and leaving nothing behind.

mod accounts;
mod orders;
mod over;
mod protocol;
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
                return;
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
