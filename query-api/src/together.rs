//! One question to the database for everybody who asks at the same time.
//!
//! Most of what a small read costs is not its row: a statement is set up, sent, answered, and two processes wake each other.
//! While one question is under way, those who come meanwhile gather, and the next question asks for all of them; so the
//! busier it is, the less each one costs, and on an idle machine nobody waits. (The idea is Facebook's `DataLoader`.)
//!
//! Invariant: a question is sent after everyone it answers has asked. Nobody is told anything older than his own asking.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use service_kit::problem::{Kind, Problem};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::database::Failed;

/// Questions of one kind that are under way at once.
const FLIGHTS: usize = 2;
/// Keys that one question asks for.
const MOST: usize = 128;

/// Asks by key, for many at once.
pub struct Together<K, V>(mpsc::UnboundedSender<Ask<K, V>>);

/// Who asks for what. Requests that are answered at once are limited, and each asks for a page at most.
struct Ask<K, V> {
    key: K,
    reply: oneshot::Sender<Result<V, Problem>>,
}

impl<K, V> Together<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Default + Send + 'static,
{
    /// `question` asks `whom` (which is cheap to clone) for many different keys; what it leaves out is the default. To be
    /// called inside a tokio runtime; ends when dropped.
    pub fn new<C, F>(whom: C, question: impl Fn(C, Vec<K>) -> F + Copy + Send + Sync + 'static) -> Self
    where
        C: Clone + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<K, V>, Failed>> + Send,
    {
        let (sender, asked) = mpsc::unbounded_channel();
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..FLIGHTS {
            let (asked, whom) = (Arc::clone(&asked), whom.clone());
            tokio::spawn(async move {
                let mut asks = Vec::new();
                // Whoever holds the lock gathers; it is free again before the question is sent.
                while asked.lock().await.recv_many(&mut asks, MOST).await > 0 {
                    answer(&mut asks, |keys| question(whom.clone(), keys)).await;
                }
            });
        }
        Self(sender)
    }

    /// What there is by this key, as it is now or later.
    ///
    /// # Errors
    /// 503 `not-ready` if the database does not answer; 500 `internal` if it answers in a way that we cannot read.
    pub async fn ask(&self, key: K) -> Result<V, Problem> {
        let (reply, answer) = oneshot::channel();
        let gone = |()| Problem::new(Kind::Internal);
        self.0.send(Ask { key, reply }).map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }
}

/// Asks for all of them and leaves nobody there.
async fn answer<K, V, F>(asks: &mut Vec<Ask<K, V>>, question: impl Fn(Vec<K>) -> F)
where
    K: Copy + Eq + Hash,
    V: Clone + Default,
    F: Future<Output = Result<HashMap<K, V>, Failed>>,
{
    // Those who went away meanwhile need no answer.
    asks.retain(|ask| !ask.reply.is_closed());
    let mut waiting: HashMap<K, Vec<oneshot::Sender<Result<V, Problem>>>> = HashMap::with_capacity(asks.len());
    for Ask { key, reply } in asks.drain(..) {
        waiting.entry(key).or_default().push(reply);
    }
    if waiting.is_empty() {
        return;
    }
    let found = question(waiting.keys().copied().collect()).await.map_err(Problem::from);
    // What cannot be read is the business of whoever asked for it, and of nobody else.
    let apart = waiting.len() > 1 && found.as_ref().is_err_and(|problem| problem.kind() == Kind::Internal);
    for (key, replies) in waiting {
        let one = match apart {
            true => told(&question(vec![key]).await.map_err(Problem::from), key),
            false => told(&found, key),
        };
        for reply in replies {
            // Somebody who went away is told nothing.
            let _ = reply.send(one.clone());
        }
    }
}

fn told<K: Eq + Hash, V: Clone + Default>(found: &Result<HashMap<K, V>, Problem>, key: K) -> Result<V, Problem> {
    found.as_ref().map(|found| found.get(&key).cloned().unwrap_or_default()).map_err(Clone::clone)
}

impl<K, V> fmt::Debug for Together<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Lock;

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// What was asked in each question, and how many may be answered.
    struct Book {
        asked: Lock<Vec<Vec<u32>>>,
        may_answer: Semaphore,
    }

    /// Doubles even numbers and knows nothing of others; fails on 13, and cannot read 17.
    fn doubling(may_answer: usize) -> (Arc<Book>, Arc<Together<u32, Option<u32>>>) {
        let book = Arc::new(Book { asked: Lock::default(), may_answer: Semaphore::new(may_answer) });
        (Arc::clone(&book), Arc::new(Together::new(book, doubled)))
    }

    async fn doubled(book: Arc<Book>, mut keys: Vec<u32>) -> Result<HashMap<u32, Option<u32>>, Failed> {
        keys.sort_unstable();
        book.asked.lock().unwrap().push(keys.clone());
        book.may_answer.acquire().await.unwrap().forget();
        if keys.contains(&13) {
            return Err(Failed(sqlx::Error::PoolTimedOut));
        }
        if keys.contains(&17) {
            return Err(Failed(sqlx::Error::ColumnNotFound("size".to_owned())));
        }
        Ok(keys.into_iter().filter(|key| key % 2 == 0).map(|key| (key, Some(key * 2))).collect())
    }

    #[tokio::test]
    async fn what_cannot_be_read_concerns_only_who_asked_for_it() {
        let (_, together) = doubling(100);
        let told = join_all([1, 4, 17, 6, 17].map(|key| together.ask(key))).await;
        let kinds: Vec<Option<Kind>> = told.iter().map(|it| it.as_ref().err().map(Problem::kind)).collect();
        assert_eq!(kinds, [None, None, Some(Kind::Internal), None, Some(Kind::Internal)]);
        assert_eq!((told[1].as_ref().unwrap(), told[3].as_ref().unwrap()), (&Some(8), &Some(12)));
    }

    #[tokio::test]
    async fn who_comes_while_questions_are_under_way_shares_the_next_one() {
        let (book, together) = doubling(0);
        let ask = |key| {
            let together = Arc::clone(&together);
            tokio::spawn(async move { together.ask(key).await })
        };
        let settle = async || {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        };
        let mut all = Vec::new();
        for key in [1, 2] {
            all.push(ask(key));
            settle().await;
        }
        for key in [2, 4, 4, 3, 6] {
            all.push(ask(key));
        }
        settle().await;
        assert_eq!(*book.asked.lock().unwrap(), [vec![1], vec![2]], "as many questions as may be under way");
        book.may_answer.add_permits(3);
        let told: Vec<_> = join_all(all).await.into_iter().map(|it| it.unwrap().unwrap()).collect();
        assert_eq!(told, [None, Some(4), Some(4), Some(8), Some(8), None, Some(12)]);
        // The second one for 2 was asked while the first was under way: he is told what there is later.
        assert_eq!(book.asked.lock().unwrap()[2], [2, 3, 4, 6]);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_it_concerns_and_to_nobody_after_them() {
        let (_, together) = doubling(10);
        let problem = together.ask(13).await.unwrap_err();
        assert_eq!(problem.kind(), Kind::NotReady);
        assert_eq!(together.ask(8).await.unwrap(), Some(16));
    }

    #[tokio::test]
    async fn more_than_a_question_holds_are_asked_in_several() {
        let (book, together) = doubling(100);
        let all = join_all((100..1100).map(|key| together.ask(key))).await;
        assert!(all.into_iter().enumerate().all(|(key, it)| it.unwrap().is_some() == (key % 2 == 0)));
        let asked = book.asked.lock().unwrap();
        assert!(asked.len() >= 1000 / MOST && asked.iter().all(|keys| keys.len() <= MOST));
    }
}
