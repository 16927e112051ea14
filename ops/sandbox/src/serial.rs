//! Numbers for providers that name money with digits only.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ids;

const NINE_DIGITS: u64 = 1_000_000_000;

/// Starts anywhere, so that a restart without a journal hardly ever repeats one.
static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
    let seed = u64::from_str_radix(&ids::hex32()[..12], 16).expect("hex32 returns hex digits");
    AtomicU64::new(seed)
});

/// Nine digits that no other call of this process returns, unless a billion were made.
pub fn nine_digits() -> String {
    format!("{:09}", NEXT.fetch_add(1, Ordering::Relaxed) % NINE_DIGITS)
}
