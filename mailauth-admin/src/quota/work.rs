//! Work on the mailboxes of all accounts, several at the same time.

use super::target::{All, Mailbox};
use crate::failure::Failure;
use crate::listing::Complaints;
use crate::progress::Progress;
use mailauth_core::store::Administration;
use mailauth_core::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Does the work for each mailbox, `jobs` at the same time, and passes the outcomes to `each` in the order of the logins.
/// Returns the accounts without a usable mailbox.
pub fn for_each<T: Send>(
    all: &All,
    jobs: usize,
    work: impl Fn(&Mailbox) -> T + Sync,
    mut each: impl FnMut(&Mailbox, T) -> Result<(), Failure>,
) -> Result<Complaints, Failure> {
    let progress = Progress::of("mailboxes", || all.store.count_accounts().ok().flatten());
    all.each_page(|mailboxes| {
        let outcomes = at_once(&mailboxes, jobs, &work, &progress);
        mailboxes.iter().zip(outcomes).try_for_each(|(mailbox, outcome)| each(mailbox, outcome))
    })
}

/// Returns the outcomes for these mailboxes, in their order.
fn at_once<T: Send>(
    mailboxes: &[Mailbox],
    jobs: usize,
    work: &(impl Fn(&Mailbox) -> T + Sync),
    progress: &Progress,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(mailboxes.len()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(mailboxes.len()) {
            scope.spawn(|| {
                while let Some((index, mailbox)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    mailboxes.get(index).map(|mailbox| (index, mailbox))
                } {
                    let outcome = work(mailbox);
                    outcomes.lock().push((index, outcome));
                    progress.step();
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner();
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
