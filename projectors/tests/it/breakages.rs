//! Every switch here makes a difference: with it on, rows in memory are not what the log folds to.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::breakage::{Breakage, take_visits, with};
use event_log::log::Partition;
use projectors::Written;
use projectors::memory::{Filling, MemoryRows, StoreFault, fillings};
use serde_json::Value;

use crate::database::told;
use crate::lanes::{Lanes, places};
use crate::memory::{dumped, in_memory};
use crate::story::{Story, Way, everything, reserved, show_id};

/// What goes wrong while two projectors fill the same rows. `None` if one of them stops for good.
type Filled = Option<BTreeMap<String, Value>>;

/// What shows a defect.
type Attempt = fn(&Lanes) -> Filled;

const ALL: [(Breakage, Attempt); 6] = [
    (Breakage::CheckpointApart, commits_are_lost),
    (Breakage::CompareAndSetLeftOut, one_overtakes_the_other),
    (Breakage::OvertakenBatchWritten, one_overtakes_the_other),
    (Breakage::PositionInMidFrame, one_record_at_a_time),
    (Breakage::VoidEventsProjected, nothing_goes_wrong),
    (Breakage::CarryKept, one_overtakes_the_other),
];

/// Everything, frames of two events, a void event, and some more.
fn lanes() -> Lanes {
    let mut lanes = told(&everything());
    let place = Lanes::place(domain::root::Context::Inventory, show_id(1).0);
    lanes.claim(place);
    let mut story = Story::default();
    story.purchase(1, 900, Way::LateAndReopened).room(3, 5);
    story.stock_frame(1, (901..904).map(|n| reserved(1, n, 1, false)).collect());
    story.told.iter().for_each(|told| lanes.tell(told));
    lanes.tell_void(story.told.iter().find(|told| told.key == show_id(1).0).unwrap());
    lanes
}

fn of(model: &dyn Filling) -> Vec<Partition> {
    places().filter(|place| model.contexts().contains(&place.context)).collect()
}

fn load(model: &mut dyn Filling) {
    let places = of(model);
    model.load(&places).unwrap();
}

/// Takes in up to so many records of each partition. False if one is broken.
fn take(lanes: &Lanes, model: &mut dyn Filling, most: usize) -> bool {
    of(model).into_iter().all(|place| {
        let next = usize::try_from(model.next(place).unwrap()).unwrap();
        model.read(place, lanes.log.records(place).into_iter().skip(next).take(most).collect()).is_ok()
    })
}

fn finish(lanes: &Lanes, model: &mut dyn Filling) -> Option<()> {
    loop {
        take(lanes, model, 1000).then_some(())?;
        if !model.has_moved() {
            return Some(());
        }
        if !matches!(model.write(), Ok(Written::Rows { .. })) {
            load(model);
        }
    }
}

fn nothing_goes_wrong(lanes: &Lanes) -> Filled {
    let rows = MemoryRows::default();
    for mut model in fillings(&lanes.codec, &rows) {
        load(&mut *model);
        finish(lanes, &mut *model)?;
    }
    Some(dumped(&rows))
}

fn commits_are_lost(lanes: &Lanes) -> Filled {
    let rows = MemoryRows::default();
    for mut model in fillings(&lanes.codec, &rows) {
        load(&mut *model);
        for fault in [StoreFault::LoseCommit, StoreFault::LoseAnswer, StoreFault::LoseCommit] {
            take(lanes, &mut *model, 5).then_some(())?;
            rows.plan([fault]);
            // Killed after the error.
            let _ = model.write();
            rows.forget_plan();
            load(&mut *model);
        }
        finish(lanes, &mut *model)?;
    }
    Some(dumped(&rows))
}

fn one_overtakes_the_other(lanes: &Lanes) -> Filled {
    let rows = MemoryRows::default();
    for (mut slow, mut fast) in fillings(&lanes.codec, &rows).into_iter().zip(fillings(&lanes.codec, &rows)) {
        load(&mut *slow);
        take(lanes, &mut *slow, 12).then_some(())?;
        let _ = slow.write();
        for records in [3, 9] {
            load(&mut *fast);
            take(lanes, &mut *slow, records).then_some(())?;
            take(lanes, &mut *fast, records + 2).then_some(())?;
            let _ = fast.write();
            if slow.has_moved() && slow.write() != Ok(Written::Overtaken) {
                continue;
            }
            load(&mut *slow);
        }
        finish(lanes, &mut *slow)?;
    }
    Some(dumped(&rows))
}

fn one_record_at_a_time(lanes: &Lanes) -> Filled {
    let rows = MemoryRows::default();
    for mut model in fillings(&lanes.codec, &rows) {
        load(&mut *model);
        let next = |model: &dyn Filling| -> Vec<Option<i64>> { of(model).iter().map(|at| model.next(*at)).collect() };
        loop {
            let before = next(&*model);
            take(lanes, &mut *model, 1).then_some(())?;
            if next(&*model) == before {
                break;
            }
            if model.has_moved() {
                model.write().unwrap();
                load(&mut *model);
            }
        }
    }
    Some(dumped(&rows))
}

#[test]
fn with_any_of_them_on_rows_are_not_what_the_log_folds_to() {
    let lanes = lanes();
    let expected = in_memory(&lanes, 1000);
    for (breakage, filling) in ALL {
        assert_eq!(filling(&lanes).as_ref(), Some(&expected), "{breakage} is not what goes wrong without it");
        take_visits();
        let filled = with(Some(breakage), || catch_unwind(AssertUnwindSafe(|| filling(&lanes))));
        assert!(!take_visits().contains(&(breakage, 0)), "{breakage} was never come by");
        assert_ne!(filled.ok().flatten().as_ref(), Some(&expected), "{breakage} makes no difference");
    }
}

#[test]
fn all_that_are_here_are_tried() {
    let tried: BTreeSet<Breakage> = ALL.iter().map(|(breakage, _)| *breakage).collect();
    let here: BTreeSet<Breakage> =
        Breakage::ALL.iter().copied().filter(|it| *it >= Breakage::CheckpointApart).collect();
    assert_eq!(tried, here);
}
