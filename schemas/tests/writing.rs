//! What is written is byte for byte what the Avro crate writes of the same value.

use apache_avro::Schema;
use apache_avro::schema::{RecordField, RecordSchema};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use domain::event::Event;
use domain::{account, inventory, order, payment, queue, show, ticket};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;
use schemas::{Codec, EventType, RecordType, schema_id};
use uuid::Uuid;

use crate::corpus::Release;
use crate::samples::{Optional, framed, sample_bytes, schema_of, turns};

macro_rules! bodies {
    ($($group:ident($module:ident) { $($name:ident)* })*) => {
        /// Writes an event's own fields as the Avro crate does.
        fn write_body(writer: &GenericDatumWriter<'_>, event: &Event) -> Vec<u8> {
            match event {
                $($(Event::$group($module::Event::$name(body)) => writer.write_ser_to_vec(body),)*)*
            }
            .unwrap()
        }
    };
}

bodies! {
    Show(show) {
        ShowCreated ShowEdited TicketClassDefined TicketClassEdited ShowConfigured ShowApproved ShowPublished
        ShowCancelled
    }
    Inventory(inventory) {
        SalesOpened SalesClosed PriceChanged CapacityChanged TicketsReserved ReservationConfirmed ReservationReleased
        ReservationExpired SessionBarred
    }
    Order(order) {
        OrderCreated OrderPaymentAdded OrderPaymentEnded OrderOverdue OrderPaid OrderCompleted OrderCancelled
        OrderFailed OrderStuck OrderTicketsRefunded
    }
    Payment(payment) {
        PaymentRequested PaymentIntentCreated PaymentPartiallyReceived PaymentCompleted PaymentFailed PaymentClosureRequested
        PaymentExpired PaymentQuarantined RefundRequested PaymentRefunded RefundFailed
    }
    Ticket(ticket) { TicketsIssued TicketsRevoked TicketRevoked }
    Queue(queue) {
        WaitingRoomOpened WaitingRoomClosed QueueModeSet QueueJoined PreQueueClosed QueueDrawn QueueReady CheckoutStarted
        CheckoutTied QueueLeft QueueExpired CheckoutCompleted CheckoutFailed CheckoutExpired
    }
    Account(account) { PersonErased }
}

/// The schema of an event without `meta`.
fn body_of(schema: &Schema) -> Schema {
    let Schema::Record(record) = schema else { panic!() };
    Schema::Record(RecordSchema::builder().name(record.name.clone()).fields(record.fields[1..].to_vec()).build())
}

fn by_avro(schema: &Schema, value: &impl serde::Serialize) -> Vec<u8> {
    GenericDatumWriter::builder(schema).human_readable(true).build().unwrap().write_ser_to_vec(value).unwrap()
}

/// An event as the Avro crate writes it, with the header of `like`.
fn event_by_avro(codec: &Codec, schema: &Schema, like: &[u8]) -> Vec<u8> {
    let (meta, event) = codec.decode(like).unwrap();
    let meta = by_avro(&Schema::parse_str(include_str!("../avro/Meta.avsc")).unwrap(), &meta);
    let body = body_of(schema);
    let body = write_body(&GenericDatumWriter::builder(&body).human_readable(true).build().unwrap(), &event);
    framed(schema_id(like).unwrap(), &[meta, body].concat())
}

/// Values by the dice: every field anything that its schema and our types allow.
struct Dice<'d> {
    rolls: std::iter::Cycle<std::slice::Iter<'d, u64>>,
}

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.rolls.next().unwrap() % u64::try_from(sides).unwrap()).unwrap()
    }

    /// Of any size, so that every length of a number occurs.
    fn long(&mut self) -> i64 {
        let places = self.roll(64);
        self.rolls.next().unwrap().cast_signed() >> places
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 5] = ['a', '\0', 'ệ', '🎫', '"'];
        // A length of more than 63 takes two bytes.
        let length = if self.roll(8) == 0 { 60 + self.roll(80) } else { self.roll(12) };
        (0..length).map(|_| LETTERS[self.roll(LETTERS.len())]).collect()
    }

    fn string(&mut self, name: &str) -> String {
        let id = Uuid::from_u128(u128::from(*self.rolls.next().unwrap()));
        match (name, self.roll(3)) {
            ("currency", place) => ["VND", "EUR", "USD"][place].to_owned(),
            ("seed", _) => format!("{:032x}{:032x}", id.as_u128(), id.as_u128()),
            (_, 0) => format!("guest:{id}"),
            _ => self.text(),
        }
    }

    fn record(&mut self, record: &RecordSchema) -> Value {
        Value::Record(record.fields.iter().map(|it| (it.name.clone(), self.value(&it.schema, it))).collect())
    }

    fn value(&mut self, schema: &Schema, field: &RecordField) -> Value {
        match schema {
            Schema::Record(record) => self.record(record),
            Schema::Array(array) => {
                let count = if self.roll(10) == 0 { 63 + self.roll(4) } else { self.roll(4) };
                Value::Array((0..count).map(|_| self.value(&array.items, field)).collect())
            }
            Schema::Union(union) => match self.roll(2) {
                0 => Value::Union(0, Box::new(Value::Null)),
                _ => Value::Union(1, Box::new(self.value(&union.variants()[1], field))),
            },
            Schema::Enum(it) => {
                let index = self.roll(it.symbols.len());
                Value::Enum(u32::try_from(index).unwrap(), it.symbols[index].clone())
            }
            Schema::Uuid(_) => Value::Uuid(Uuid::from_u64_pair(*self.rolls.next().unwrap(), 7)),
            Schema::String => Value::String(self.string(&field.name)),
            Schema::Bytes => {
                let length = if field.custom_attributes.contains_key("pii") { self.roll(300) } else { 16 };
                Value::Bytes((0..length).map(|_| u8::try_from(self.roll(256)).unwrap()).collect())
            }
            Schema::Boolean => Value::Boolean(self.roll(2) == 0),
            Schema::Int => Value::Int(i32::try_from(self.long() >> 32).unwrap()),
            Schema::Long => Value::Long(self.long()),
            Schema::TimestampMicros => Value::TimestampMicros(self.long()),
            other => panic!("no dice for {other:?}"),
        }
    }
}

/// A made event of a type, written by both.
fn written_alike(codec: &Codec, event: EventType, rolls: &[u64]) -> Result<(), TestCaseError> {
    let record = RecordType::Event(event);
    let schema = schema_of(record);
    let Schema::Record(fields) = &schema else { panic!() };
    let value = Dice { rolls: rolls.iter().cycle() }.record(fields);
    let made = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap();
    let made = framed(codec.ids().of(record), &made);
    let (meta, event) = codec.decode(&made).map_err(|error| TestCaseError::fail(format!("{event:?}: {error:?}")))?;
    let ours = codec.encode(&meta, &event).unwrap();
    prop_assert_eq!(&ours, &event_by_avro(codec, &schema, &made));
    prop_assert_eq!(&ours, &made, "what was made had another form");
    Ok(())
}

proptest! {
    #[test]
    fn any_event_of_every_type_is_written_as_avro_writes_it(rolls in vec(any::<u64>(), 1..200)) {
        let codec = Codec::in_memory();
        for event in EventType::ALL {
            written_alike(&codec, *event, &rolls)?;
        }
    }
}

#[test]
fn every_sample_is_written_as_avro_writes_it() {
    let codec = Codec::in_memory();
    for event in EventType::ALL {
        let record = RecordType::Event(*event);
        let schema = schema_of(record);
        for turn in 0..turns(&schema) {
            for optional in [Optional::Set, Optional::Unset] {
                let made = sample_bytes(record, optional, turn);
                let (meta, decoded) = codec.decode(&made).unwrap();
                let ours = codec.encode(&meta, &decoded).unwrap();
                assert_eq!(ours, event_by_avro(&codec, &schema, &made), "{event:?}");
            }
        }
    }
}

#[test]
fn every_event_of_the_golden_corpus_is_written_as_avro_writes_it() {
    let codec = Codec::in_memory();
    let mut compared = 0;
    for record in RecordType::all() {
        let schema = schema_of(record);
        for (then, value) in golden(record) {
            // Any id that is none of ours; old versions are resolved to the present one.
            codec.learn_text(then.0, &then.1).unwrap();
            let framed_then = framed(then.0, &value[5..]);
            let id = codec.ids().of(record);
            let (ours, avros) = match record {
                RecordType::Event(_) => {
                    let (meta, event) = codec.decode(&framed_then).unwrap();
                    let ours = codec.encode(&meta, &event).unwrap();
                    (ours, event_by_avro(&codec, &schema, &framed_then))
                }
                RecordType::PersonKey => {
                    let key = codec.decode_person_key(&framed_then).unwrap();
                    (codec.encode_person_key(&key).unwrap(), framed(id, &by_avro(&schema, &key)))
                }
                // Their types are private; the bytes of their present versions are the Avro crate's own.
                _ => {
                    let ours = codec.encode_control(&codec.decode_control(&framed_then).unwrap()).unwrap();
                    (ours, framed(id, &value[5..]))
                }
            };
            assert_eq!(ours[5..], avros[5..], "{}", record.full_name());
            assert_eq!(schema_id(&ours), Some(id));
            compared += 1;
        }
    }
    assert!(compared >= RecordType::all().count());
}

/// Every golden value of a type: an id of its schema, the schema, the value.
fn golden(record: RecordType) -> Vec<((u32, String), Vec<u8>)> {
    let place = RecordType::all().position(|it| it == record).unwrap();
    let mut found = Vec::new();
    for (nth, release) in (0..).zip(Release::of(record)) {
        let id = 1_000_000 + u32::try_from(place * 100).unwrap() + nth;
        let values = ["", ".bare"].into_iter().filter_map(|kind| release.value(kind));
        found.extend(values.map(|value| ((id, release.schema()), value)));
    }
    found
}
