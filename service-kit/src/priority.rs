//! Who waits for a processor longer, when there are too few.
//!
//! On one machine everything runs at once: what people wait for, and what merely has to be done. Without an order among them
//! a rush of buyers would be slowed down by the work that it leaves behind.

/// About a tenth of what a thread of the usual priority gets beside it, and everything while nobody else wants the processor.
const BEHIND: i32 = 10;
/// Ten times as much.
const AHEAD: i32 = -10;

/// From now on the calling thread, and the threads that it starts, work where others leave room. They never stand still:
/// their share beside others is small, not nothing.
pub fn behind_others() {
    become_as_nice_as(BEHIND);
}

/// From now on the calling thread, and the threads that it starts, hardly wait for others, if the user may ask for that: it
/// stands for somebody who has a machine of his own.
pub fn ahead_of_others() {
    become_as_nice_as(AHEAD);
}

fn become_as_nice_as(nice: i32) {
    // None is the calling thread itself: Linux keeps priorities by thread, whatever POSIX says of processes.
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
        tracing::debug!(%error, "this thread keeps its priority");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_thread_that_asks_changes() {
        let of = || rustix::process::getpriority_process(None).unwrap();
        let before = of();
        let beside = |ask: fn()| {
            let thread = std::thread::spawn(move || {
                ask();
                (of(), std::thread::spawn(of).join().unwrap())
            });
            thread.join().unwrap()
        };
        assert_eq!(beside(super::behind_others), (super::BEHIND, super::BEHIND));
        // Going ahead has to be allowed; whoever may not stays where he was.
        let (ahead, its_child) = beside(super::ahead_of_others);
        assert!(ahead == super::AHEAD || ahead == before, "{ahead}");
        assert_eq!(its_child, ahead);
        assert_eq!(of(), before);
    }
}
