//! What the variables ask for, and the end.

use std::fs;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::Point;
use crate::log::Partition;

/// Where and when to crash.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Order {
    point: Point,
    /// `inventory-events/2`, or the whole topic; anywhere, if none.
    at: Option<String>,
    nth: u64,
}

/// An order and how often its place was reached.
#[derive(Debug, Default)]
struct Armed {
    by_variable: Option<Order>,
    file: Option<PathBuf>,
    /// What the file held at the last visit.
    text: String,
    visits: [u64; 2],
}

static ARMED: LazyLock<Mutex<Armed>> = LazyLock::new(|| Mutex::new(Armed::read()));
/// Whether there is anything to look at; without the variables a visit costs next to nothing.
static WANTED: LazyLock<bool> = LazyLock::new(|| {
    let armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    armed.by_variable.is_some() || armed.file.is_some()
});

impl Order {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split(':');
        let name = parts.next()?;
        let point = Point::ALL.into_iter().find(|point| point.name() == name)?;
        let mut order = Self { point, at: None, nth: 1 };
        for part in parts {
            match part.parse() {
                Ok(nth) => order.nth = nth,
                Err(_) => order.at = Some(part.to_owned()),
            }
        }
        Some(order)
    }

    fn is_for(&self, point: Point, at: Partition) -> bool {
        let here = |wanted: &String| *wanted == at.to_string() || wanted == at.context.topic();
        self.point == point && self.at.as_ref().is_none_or(here)
    }
}

impl Armed {
    #[allow(clippy::disallowed_methods, reason = "for tests only, and among no service's settings")]
    fn read() -> Self {
        let by_variable = std::env::var("BOXOFFICE_CRASH_AT").ok().map(|text| {
            Order::parse(&text).unwrap_or_else(|| panic!("BOXOFFICE_CRASH_AT={text} names no place to crash at"))
        });
        Self { by_variable, file: std::env::var_os("BOXOFFICE_CRASH_FILE").map(PathBuf::from), ..Self::default() }
    }

    fn strikes(&mut self, point: Point, at: Partition) -> bool {
        if let Some(order) = &self.by_variable
            && order.is_for(point, at)
        {
            self.visits[0] += 1;
            if self.visits[0] == order.nth {
                return true;
            }
        }
        let Some(file) = &self.file else { return false };
        let text = fs::read_to_string(file).unwrap_or_default();
        if text != self.text {
            self.text.clone_from(&text);
            self.visits[1] = 0;
        }
        let Some(order) = Order::parse(&text).filter(|order| order.is_for(point, at)) else { return false };
        self.visits[1] += 1;
        // Who removes it is the one that crashes.
        self.visits[1] >= order.nth && fs::remove_file(file).is_ok()
    }
}

/// Counts a visit; tells whether it is the one to end at.
pub(super) fn strikes(point: Point, at: Partition) -> bool {
    *WANTED && ARMED.lock().unwrap_or_else(PoisonError::into_inner).strikes(point, at)
}

/// Ends the process at once: nothing is flushed, closed or told.
pub(crate) fn end() -> ! {
    let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    unreachable!("nobody survives SIGKILL: {killed:?}")
}

#[cfg(test)]
mod tests {
    use domain::root::Context;

    use super::*;

    #[test]
    fn an_order_says_where_and_when() {
        let at = Partition { context: Context::Inventory, number: 2 };
        let order = Order::parse("after-append:inventory-events/2:7\n").unwrap();
        assert_eq!(order, Order { point: Point::AfterAppend, at: Some("inventory-events/2".to_owned()), nth: 7 });
        assert!(order.is_for(Point::AfterAppend, at) && !order.is_for(Point::BeforeAppend, at));
        assert!(!order.is_for(Point::AfterAppend, Partition { number: 1, ..at }));
        assert!(Order::parse("in-snapshot").unwrap().is_for(Point::InSnapshot, at));
        assert!(Order::parse("in-snapshot:inventory-events").unwrap().is_for(Point::InSnapshot, at));
        assert!(!Order::parse("in-snapshot:order-events").unwrap().is_for(Point::InSnapshot, at));
        assert_eq!(Order::parse("nowhere"), None);
        for point in Point::ALL {
            assert_eq!(Order::parse(point.name()).map(|order| order.point), Some(point));
        }
    }

    #[test]
    fn a_file_strikes_once_at_its_visit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("crash");
        let mut armed = Armed { file: Some(file.clone()), ..Armed::default() };
        let at = Partition { context: Context::Queue, number: 0 };
        assert!(!armed.strikes(Point::BeforeAppend, at));
        fs::write(&file, "before-append:queue-events/0:2").unwrap();
        assert!(!armed.strikes(Point::BeforeAppend, at) && !armed.strikes(Point::AfterAppend, at));
        assert!(armed.strikes(Point::BeforeAppend, at));
        assert!(!file.exists() && !armed.strikes(Point::BeforeAppend, at));
    }
}
