//! Pauses of the machine: times at which a thread that wanted to run did not get a processor.
//!
//! A test with a deadline of half a second cannot tell a slow server from a machine on which no process ran for a while.
//! It takes the pauses that were measured beside it into account.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time that the thread sleeps.
const TICK: Duration = Duration::from_millis(5);
/// Delay beyond which a sleep that was too long counts as a pause.
const PAUSE: Duration = Duration::from_millis(100);

/// Records the pauses until `over` is true.
pub(crate) fn record(over: &AtomicBool) -> Vec<(Instant, Instant)> {
    let mut pauses = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let from = Instant::now();
        std::thread::sleep(TICK);
        let to = Instant::now();
        if to - from > PAUSE {
            pauses.push((from, to));
        }
    }
    pauses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::eventually;

    #[test]
    fn the_thread_ends_when_it_is_told_to() {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let recording = scope.spawn(|| record(&over));
            over.store(true, Ordering::Relaxed);
            eventually("the end", Duration::from_secs(20), || recording.is_finished());
        });
    }
}
