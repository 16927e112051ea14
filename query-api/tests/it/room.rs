//! What happens in a waiting room, as the projectors write it, and tickets of its places.

use domain::event::Event;
use domain::ids::{SessionId, ShowId};
use domain::queue::{
    self, CheckoutCompleted, CheckoutStarted, Draw, PreQueueClosed, QueueDrawn, QueueExpired, QueueJoined, QueueLeft,
    QueueReady, Seed, Terms, WaitingRoomOpened, session,
};
use domain::root::Context;
use domain::value::Timestamp;
use projectors::{Envelope, ReadModel as _};
use service_kit::clock;
use service_kit::consistency::Token;
use service_kit::queue_ticket::Place;
use sqlx::AssertSqlSafe;

use crate::client::{Answer, As};
use crate::story::id;
use crate::world::{LOG, World, envelope, notify};

pub const PARTITION: u32 = 3;
pub const SEED: Seed = Seed([9; 32]);

/// The waiting room of one show.
pub struct Room<'a> {
    pub world: &'a World,
    pub show: ShowId,
    /// Where the next event lies.
    pub next: i64,
}

pub fn terms(opens_at: Option<Timestamp>, away_grace_s: i64) -> Terms {
    Terms { opens_at, slots: 2, admission_batch: 1, away_grace_s, ..Terms::default() }
}

impl World {
    /// A waiting room that opens at once, or then.
    pub async fn room(&self, n: u128, opens_at: Option<Timestamp>) -> Room<'_> {
        self.room_with(n, terms(opens_at, 300)).await
    }

    pub async fn room_with(&self, n: u128, terms: Terms) -> Room<'_> {
        let show = ShowId(id("show", n));
        let mut room = Room { world: self, show, next: 1 };
        let draw_hash = terms.opens_at.map(|_| SEED.hash());
        let organizer = "account:anna".to_owned();
        room.tell(WaitingRoomOpened { show, organizer, terms, checkout_url: None, draw_hash }).await;
        room
    }
}

impl Room<'_> {
    /// As the projectors write it: board and checkpoint in one transaction, with notifications.
    pub async fn tell(&mut self, event: impl Into<queue::Event>) {
        self.tell_all([event.into()]).await;
    }

    pub async fn tell_all(&mut self, events: impl IntoIterator<Item = queue::Event>) {
        let mut changes = Default::default();
        for event in events {
            let envelope = envelope(clock::now().0, Event::Queue(event));
            let envelope = Envelope { partition: PARTITION, offset: self.next, ..envelope };
            projectors::queue::Queue::fold(&mut changes, &envelope);
            self.next += 1;
        }
        let world = self.world;
        let mut tx = world.pool.begin().await.unwrap();
        let schema = world.names.first(&projectors::queue::Queue::LAYOUT);
        sqlx::query("select set_config('search_path', $1, true)").bind(&schema).execute(&mut *tx).await.unwrap();
        projectors::queue::Queue::write(&mut changes, &mut tx).await.unwrap();
        let sql = format!(
            "insert into {schema}.checkpoints (context, partition, next_offset, identity, term, claim, seq, hole, updated_at)
             values ('queue', $1, $2, $3, 1, $3, 1, false, now())
             on conflict (context, partition) do update set next_offset = $2, identity = $3"
        );
        let moved = sqlx::query(AssertSqlSafe(sql)).bind(i32::try_from(PARTITION).unwrap()).bind(self.next).bind(LOG);
        moved.execute(&mut *tx).await.unwrap();
        notify(&mut tx, &world.names.queues_channel(), &self.show.0.simple().to_string()).await;
        notify(&mut tx, &world.names.checkpoints_channel(), "queue").await;
        tx.commit().await.unwrap();
    }

    pub fn session(&self, number: u32) -> SessionId {
        session(self.show, number)
    }

    pub fn joined(&self, number: u32) -> queue::Event {
        let principal = format!("guest:{number}");
        QueueJoined { show: self.show, session: self.session(number), number: number.into(), principal }.into()
    }

    pub async fn join(&mut self, upto: u32) {
        let joined: Vec<queue::Event> = (1..=upto).map(|number| self.joined(number)).collect();
        self.tell_all(joined).await;
    }

    pub async fn draw(&mut self, count: u32) -> Draw {
        let (show, seed) = (self.show, SEED.to_string());
        self.tell(PreQueueClosed { show, count: count.into() }).await;
        self.tell(QueueDrawn { show, seed, count: count.into() }).await;
        Draw::new(SEED, count)
    }

    pub async fn admit(&mut self, number: u32, place: u32, enter_by: Timestamp) {
        let (show, session) = (self.show, self.session(number));
        self.tell(QueueReady { show, session, number: number.into(), place: place.into(), enter_by }).await;
    }

    pub async fn enter(&mut self, number: u32, expires_at: Timestamp) {
        let (show, session) = (self.show, self.session(number));
        self.tell(CheckoutStarted { show, session, number: number.into(), expires_at }).await;
    }

    pub async fn complete(&mut self, number: u32) {
        let (show, session, order) = (self.show, self.session(number), domain::ids::OrderId(id("order", 1)));
        self.tell(CheckoutCompleted { show, session, number: number.into(), order }).await;
    }

    pub async fn expire(&mut self, number: u32) {
        let (show, session) = (self.show, self.session(number));
        self.tell(QueueExpired { show, session, number: number.into() }).await;
    }

    pub async fn leave(&mut self, number: u32) {
        let (show, session) = (self.show, self.session(number));
        self.tell(QueueLeft { show, session, number: number.into(), entered: false }).await;
    }

    /// The token of the last event.
    pub fn token(&self) -> String {
        Token::at(Context::Queue, PARTITION, self.next - 1, LOG).to_string()
    }

    /// The ticket of somebody who was last there so many seconds ago.
    pub fn ticket(&self, number: u32, seconds_ago: i64) -> String {
        let seen = clock::now().plus_s(-seconds_ago);
        let place = Place { show: self.show, session: self.session(number), number, seen };
        self.world.auth().queue_tickets().sign(&place)
    }

    pub fn path(&self, number: u32) -> String {
        format!("/v1/shows/{}/queue/{}", self.show, self.session(number))
    }

    pub fn events_path(&self, number: u32, ticket: &str) -> String {
        format!("{}/events?queue_ticket={ticket}", self.path(number))
    }

    /// The status with a fresh ticket, and everything that was told.
    pub async fn status(&self, number: u32) -> Answer {
        let ticket = self.ticket(number, 0);
        self.ask(number, &[("queue-ticket", &ticket), ("consistency-token", &self.token())]).await
    }

    pub async fn ask(&self, number: u32, headers: &[(&str, &str)]) -> Answer {
        self.world.get_with(&As::Nobody, &self.path(number), headers).await
    }
}
