//! How long an event takes to become bytes, and bytes to become an event.
//!
//! `cargo bench -p schemas`

#[path = "../../domain/benches/support/sale.rs"]
mod sale;

use apache_avro::Schema;
use apache_avro::schema::RecordSchema;
use apache_avro::writer::datum::GenericDatumWriter;
use divan::{Bencher, black_box};
use domain::event::Event;
use domain::inventory::{self, Command};
use domain::root::Meta;
use domain::value::Actor;
use schemas::{Codec, EventType, RecordType};

fn main() {
    divan::main();
}

/// The largest event of a purchase, and one of the smallest.
#[derive(Debug, Clone, Copy)]
enum Of {
    TicketsReserved,
    ReservationConfirmed,
}

const BOTH: [Of; 2] = [Of::TicketsReserved, Of::ReservationConfirmed];

fn event(of: Of) -> (Meta, Event) {
    let stock = sale::selling(1, 100);
    let issued = match of {
        Of::TicketsReserved => sale::issued(sale::reserve(1), sale::buyer(1), 1),
        Of::ReservationConfirmed => sale::issued(Command::Confirm { order: sale::order(0) }, Actor::System, 1),
    };
    let (_, events) = sale::decide(&stock, issued).expect("there is enough");
    let event = events.into_iter().next().expect("something happened");
    (sale::meta(1), event.into())
}

#[divan::bench(args = BOTH)]
fn encode(bencher: Bencher, of: Of) {
    let (codec, (meta, event)) = (Codec::in_memory(), event(of));
    bencher.bench_local(|| codec.encode(black_box(&meta), black_box(&event)));
}

/// What the Avro crate takes for the same bytes, without the header.
#[divan::bench(args = BOTH)]
fn encode_by_avro(bencher: Bencher, of: Of) {
    let (meta, event) = event(of);
    let whole = Schema::parse_str(RecordType::Event(EventType::of(&event)).text()).expect("it is a schema");
    let Schema::Record(record) = whole else { unreachable!("every schema file holds a record") };
    let rest = RecordSchema::builder().name(record.name.clone()).fields(record.fields[1..].to_vec()).build();
    let rest = Schema::Record(rest);
    let writer = |schema| GenericDatumWriter::builder(schema).human_readable(true).build().expect("it needs no other");
    let (of_meta, of_rest) = (writer(&record.fields[0].schema), writer(&rest));
    bencher.bench_local(|| {
        let mut out = Vec::with_capacity(512);
        of_meta.write_ser(&mut out, black_box(&meta)).expect("it fits its schema");
        match black_box(&event) {
            Event::Inventory(inventory::Event::TicketsReserved(body)) => of_rest.write_ser(&mut out, body),
            Event::Inventory(inventory::Event::ReservationConfirmed(body)) => of_rest.write_ser(&mut out, body),
            _ => unreachable!("these are the two"),
        }
        .expect("it fits its schema");
        out
    });
}

#[divan::bench(args = BOTH)]
fn decode(bencher: Bencher, of: Of) {
    let (codec, (meta, event)) = (Codec::in_memory(), event(of));
    let value = codec.encode(&meta, &event).expect("it fits its schema");
    bencher.bench_local(|| codec.decode(black_box(&value)));
}
