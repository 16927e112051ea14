//! A history's plan: all that is to happen, drawn from the seed alone, so that steps can be left out.

use event_log::memory::Fault;

use crate::clients::Op;
use crate::dice::Dice;
use crate::provider::Money;

/// What a history is like as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knobs {
    /// How many processes.
    pub processes: usize,
    /// Whether anything goes wrong.
    pub faults: bool,
    /// So many of the shows have a waiting room.
    pub rooms: u8,
    /// The room opens so much later, after a draw.
    pub opens_in_s: Option<i64>,
    /// Of the room.
    pub slots: i32,
    /// Of the room.
    pub admission_batch: i32,
    /// Seconds to pay.
    pub pay_within_s: i64,
    /// Records of an owner without acknowledgement, at most.
    pub in_flight: usize,
    /// Commands waiting for an owner, at most.
    pub mailbox: usize,
    /// Whether read models are filled.
    pub readers: bool,
    /// Every process is started anew before the end.
    pub all_new_at_the_end: bool,
    /// Once all is at rest, what was asked is asked once more a day later.
    pub a_day_later: bool,
}

/// One thing that happens. Numbers of processes and contexts are taken modulo what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A client calls for the first time.
    Call(Op),
    /// A client calls again, with the same body or another one.
    Again { which: u16, other_body: bool },
    /// Everything that can happen happens in some order, or not yet, for so many rounds.
    Flow { rounds: u8 },
    /// Everything happens, until nothing does for so long.
    Rush { ms: u32 },
    /// Time passes; nobody does anything.
    Pass { ms: u32 },
    /// An owner takes what came, and does what it can.
    Turn { process: u8, context: u8 },
    /// Records of an owner land.
    Land { process: u8, context: u8, records: u8 },
    /// What landed is reported.
    Report { process: u8, context: u8 },
    /// What landed is handed over.
    Deliver { process: u8, context: u8 },
    /// One of the next records meets a fault.
    LogFault { process: u8, context: u8, after: u8, fault: Fault },
    /// What was late lands.
    Release { process: u8, context: u8 },
    /// What the dead had under way lands.
    Ghosts,
    /// The next messages between processes are lost, late or doubled.
    Net { lose: u8, double: u8, late: u8, by_ms: u32 },
    /// A process is gone, and comes back later.
    Crash { process: u8, ms: u32 },
    /// A process sleeps; what it has under way sleeps too, or not.
    Freeze { process: u8, ms: u32, held: bool },
    /// The group gives the partition to somebody else.
    Rebalance { to: u8 },
    /// The group tells a process that it owns the partition, whoever else does.
    Vouch { process: u8, anyway: bool },
    /// A process's wall clock is so far off from now on.
    Clock { process: u8, off_ms: i32 },
    /// An owner's state is written down.
    Snapshot { process: u8, context: u8 },
    /// A snapshot of another log lies with ours.
    ForeignSnapshot { context: u8 },
    /// Somebody pays, or not.
    Money { page: u8, what: Money },
    /// Money for nobody.
    Stray,
    /// A process asks the provider about open payments.
    Watch { process: u8 },
    /// The provider says nothing for a while, or its next answers are lost.
    Provider { silent_ms: u32, lose: u8 },
    /// A projector does what it can, and its store does this.
    Project { reader: u8, store: Store },
}

/// What becomes of a projector's next transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// It is committed.
    Good,
    /// It is rolled back, and an error is told.
    Lost,
    /// It is committed, and an error is told.
    DoneButError,
    /// The database does not answer.
    Away,
    /// It waits until later.
    NotYet,
    /// The projector is gone before it begins, and another one starts.
    Crash,
}

/// Wall clocks are off by so much, milliseconds: in time, a little late, hours.
const OFF_MS: [i32; 6] = [0, 900, -1500, 2500, -4000, 3_600_000];
const FAULTS: [Fault; 6] = [
    Fault::Lose,
    Fault::LoseSilently,
    Fault::LoseAcknowledgement,
    Fault::LoseAcknowledgementSilently,
    Fault::Delay,
    Fault::Duplicate,
];

fn small(dice: &mut Dice, end: u64) -> u8 {
    u8::try_from(dice.below(end.min(256))).expect("below 256")
}

impl Knobs {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            processes: dice.weighted(&[(2, 1), (5, 2), (3, 3)]),
            faults: dice.chance(95),
            rooms: dice.weighted(&[(4, 0), (5, 1), (1, 2)]),
            opens_in_s: dice.weighted(&[(7, None), (3, Some(3))]),
            slots: dice.weighted(&[(3, 1), (3, 2), (3, 4)]),
            admission_batch: dice.weighted(&[(1, 1), (2, 2), (2, 5)]),
            pay_within_s: dice.weighted(&[(2, 60), (3, 900)]),
            in_flight: dice.weighted(&[(1, 3), (2, 12), (6, 500)]),
            mailbox: dice.weighted(&[(1, 3), (8, 1000)]),
            readers: dice.chance(40),
            all_new_at_the_end: dice.chance(60),
            a_day_later: dice.chance(25),
        }
    }
}

/// The plan of a seed.
pub fn draw(seed: u64) -> (Knobs, Vec<Step>) {
    let mut dice = Dice::new(seed ^ 0x5eed_0000_0000_0000);
    let knobs = Knobs::draw(&mut dice);
    let mut steps = vec![Step::Rush { ms: 50 }];
    for show in 0..2 {
        for step in 0..7 {
            steps.push(Step::Call(Op::Prepare { show, step }));
            if dice.chance(if show == 0 { 70 } else { 20 }) {
                steps.push(Step::Rush { ms: 30 });
            }
        }
        steps.push(Step::Rush { ms: 1500 });
        if show == 0 && dice.chance(60) {
            break;
        }
    }
    let calls = 32 + dice.below(12);
    let (mut done, mut late) = (0, Vec::new());
    while done < calls {
        let step = draw_step(&mut dice, &knobs);
        done += u64::from(matches!(step, Step::Call(_) | Step::Again { .. }));
        steps.push(step);
        if let Step::LogFault { process, context, fault: Fault::Delay, .. } = step {
            late.push((steps.len() + 3 + dice.index(15), Step::Release { process, context }));
        }
        while let Some(at) = late.iter().position(|(at, _)| *at <= steps.len()) {
            steps.push(late.swap_remove(at).1);
        }
    }
    steps.push(Step::Flow { rounds: 10 });
    (knobs, steps)
}

/// Kinds of steps, before they are filled in.
#[derive(Clone, Copy)]
enum Kind {
    Call,
    Again,
    Flow,
    Rush,
    Pass,
    Fine,
    Fault,
    Net,
    Life,
    Snapshot,
    Money,
    Project,
}

fn draw_step(dice: &mut Dice, knobs: &Knobs) -> Step {
    let bad = if knobs.faults { 1 } else { 0 };
    let kind = dice.weighted(&[
        (30, Kind::Call),
        (5, Kind::Again),
        (22, Kind::Flow),
        (14, Kind::Rush),
        (6, Kind::Pass),
        (10, Kind::Fine),
        (6 * bad, Kind::Fault),
        (3 * bad, Kind::Net),
        (5 * bad, Kind::Life),
        (4, Kind::Snapshot),
        (12, Kind::Money),
        (if knobs.readers { 10 } else { 0 }, Kind::Project),
    ]);
    match kind {
        Kind::Call => Step::Call(draw_op(dice, knobs)),
        Kind::Again => {
            Step::Again { which: u16::try_from(dice.below(60)).expect("small"), other_body: dice.chance(25) }
        }
        Kind::Flow => Step::Flow { rounds: 1 + small(dice, 8) },
        Kind::Rush => Step::Rush { ms: dice.weighted(&[(4, 30), (4, 300), (2, 1500), (1, 3500)]) },
        Kind::Pass => Step::Pass {
            ms: dice.weighted(&[
                (5, 25),
                (4, 500),
                (3, 2500),
                (3, 6000),
                (2, 21_000),
                (2, 61_000),
                (1, 310_000),
                (1, 905_000),
                (1, 1_300_000),
            ]),
        },
        Kind::Fine => draw_fine(dice),
        Kind::Fault => Step::LogFault {
            process: small(dice, 3),
            context: small(dice, 6),
            after: dice.weighted(&[(5, 0), (3, 1), (2, 2), (1, 4)]),
            fault: dice.pick(&FAULTS),
        },
        Kind::Net => draw_net(dice),
        Kind::Life => draw_life(dice),
        Kind::Snapshot if dice.chance(6) => Step::ForeignSnapshot { context: small(dice, 6) },
        Kind::Snapshot => Step::Snapshot { process: small(dice, 3), context: small(dice, 6) },
        Kind::Money => draw_money(dice),
        Kind::Project => Step::Project {
            reader: small(dice, 12),
            store: dice.weighted(&[
                (8, Store::Good),
                (3, Store::NotYet),
                (bad, Store::Away),
                (2 * bad, Store::Lost),
                (2 * bad, Store::DoneButError),
                (2 * bad, Store::Crash),
            ]),
        },
    }
}

fn draw_op(dice: &mut Dice, knobs: &Knobs) -> Op {
    let show = u8::from(dice.chance(15));
    let who = small(dice, 5);
    let order = small(dice, 7);
    let class = dice.weighted(&[(6, 0), (3, 1), (1, 2)]);
    let room = if knobs.rooms > 0 { 1 } else { 0 };
    match dice.weighted(&[
        (10 * room, 0),
        (8 * room, 1),
        (2 * room, 2),
        (16, 3),
        (6, 4),
        (3, 5),
        (5, 6),
        (1, 7),
        (1, 8),
        (4, 9),
        (1, 10),
        (1, 11),
    ]) {
        0 => Op::Join { show, who },
        1 => Op::Enter { show, who },
        2 => Op::Leave { show, who },
        3 => Op::Order { show, who, order, class, quantity: 1 + small(dice, 4), sloppy: dice.chance(5) },
        4 => Op::AddPayment { order, who },
        5 => Op::Cancel { order, who, support: dice.chance(50) },
        6 => Op::Capacity { show, class, capacity: small(dice, 9) },
        7 => Op::Price { show, class, price: dice.pick(&[100, 70, 0, 255]) },
        8 if dice.chance(60) => Op::CancelShow { show },
        11 if dice.chance(30) => Op::Huge { show, who },
        9 => Op::Look { what: small(dice, 4), which: small(dice, 7), who },
        _ => Op::Prepare { show, step: small(dice, 7) },
    }
}

fn draw_fine(dice: &mut Dice) -> Step {
    let (process, context) = (small(dice, 3), small(dice, 6));
    match dice.below(4) {
        0 => Step::Turn { process, context },
        1 => Step::Land { process, context, records: 1 + small(dice, 4) },
        2 => Step::Report { process, context },
        _ => Step::Deliver { process, context },
    }
}

fn draw_net(dice: &mut Dice) -> Step {
    match dice.below(5) {
        0 => Step::Net { lose: 1 + small(dice, 3), double: 0, late: 0, by_ms: 0 },
        1 => Step::Net { lose: 0, double: 1 + small(dice, 3), late: 0, by_ms: 0 },
        2 => Step::Net { lose: 0, double: 0, late: 1 + small(dice, 3), by_ms: dice.pick(&[50, 1000, 8000]) },
        3 => Step::Provider { silent_ms: dice.pick(&[500, 5000, 30_000]), lose: 0 },
        _ => Step::Provider { silent_ms: 0, lose: 1 + small(dice, 2) },
    }
}

fn draw_life(dice: &mut Dice) -> Step {
    let process = small(dice, 3);
    match dice.below(13) {
        0..=3 => Step::Crash { process, ms: dice.pick(&[0, 50, 1000, 20_000]) },
        4..=6 => Step::Freeze { process, ms: dice.pick(&[500, 4000, 12_000]), held: dice.chance(60) },
        7 | 8 => Step::Rebalance { to: small(dice, 3) },
        9 | 10 => Step::Vouch { process, anyway: dice.chance(70) },
        11 => Step::Clock { process, off_ms: dice.pick(&OFF_MS) },
        _ if dice.chance(50) => Step::Ghosts,
        _ => Step::Release { process, context: small(dice, 6) },
    }
}

fn draw_money(dice: &mut Dice) -> Step {
    let page = small(dice, 16);
    let what = dice.weighted(&[
        (12, Money::All),
        (3, Money::Part),
        (1, Money::Crumbs),
        (1, Money::TooMuch),
        (3, Money::Again),
        (1, Money::Dollars),
        (2, Money::Decline),
    ]);
    match dice.below(12) {
        0 => Step::Watch { process: small(dice, 3) },
        1 if dice.chance(20) => Step::Stray,
        _ => Step::Money { page, what },
    }
}
