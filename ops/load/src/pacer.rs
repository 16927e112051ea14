//! Waits until a moment, finer than the runtime's own timer, whose grain is a millisecond.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use service_kit::clock;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Shorter pauses are not worth their own cost: arrivals within one are sent together.
const SHORTEST: Duration = Duration::from_micros(100);

/// A timer of the kernel.
#[derive(Debug)]
pub struct Pacer(AsyncFd<OwnedFd>);

impl Pacer {
    /// A timer of its own.
    ///
    /// # Errors
    /// The kernel has none, or no runtime runs.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[allow(deprecated, reason = "its successor is unsafe code, which an owned descriptor has no need of")]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Waits until then; a moment that is over or nearly so is not waited for.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn until(&self, moment: Instant) -> io::Result<()> {
        let pause = moment.saturating_duration_since(clock::monotonic());
        if pause.is_zero() {
            return Ok(());
        }
        self.set(pause.max(SHORTEST))?;
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|timer| {
                let mut times = [0; 8];
                rustix::io::read(timer, &mut times).map_err(io::Error::from)
            });
            if let Ok(read) = read {
                return read.map(drop);
            }
        }
    }

    fn set(&self, pause: Duration) -> io::Result<()> {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let set = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &set)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_waits_as_long_as_it_should() {
        let pacer = Pacer::new().unwrap();
        for wait in [300, 2500, 20_000] {
            let began = clock::monotonic();
            pacer.until(began + Duration::from_micros(wait)).await.unwrap();
            assert!(began.elapsed() >= Duration::from_micros(wait), "{wait}");
            assert!(began.elapsed() < Duration::from_micros(wait) + Duration::from_millis(100), "{wait}");
        }
        pacer.until(clock::monotonic()).await.unwrap();
    }
}
