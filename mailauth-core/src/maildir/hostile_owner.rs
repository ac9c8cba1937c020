//! Tests of mailboxes whose owner tries to delay or exhaust the processes that work on them.

use super::tests::{Mailbox, usage};
use super::*;
use crate::quota::{Denied, PoolError};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

/// Locks the mailbox's folder and holds its lock.
fn hold(mailbox: &Mailbox) -> [File; 2] {
    let open = mailbox.under("1000000S");
    open.recount(Effort::Full).unwrap();
    [mailbox.path(), mailbox.path().join("maildirlock")].map(|path| {
        let file = File::open(path).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        file
    })
}

fn impatient() -> Patience {
    let now = Instant::now();
    Patience { lock: now + Duration::from_millis(10), answer: now + Duration::from_secs(60), if_locked: IfLocked::GoOn }
}

#[test]
fn a_mailbox_that_stays_locked_is_counted_without_the_lock() {
    let mailbox = Mailbox::new();
    let _held = hold(&mailbox);
    fs::remove_file(mailbox.path().join("maildirsize")).unwrap();
    mailbox.put("new/1.a", 900);
    let open = mailbox.under("1000S").within(impatient());
    assert!(matches!(open.precheck(100), Ok(())));
    assert!(matches!(open.precheck(101), Err(Denied::Mailbox(_))));
    assert_eq!(mailbox.maildirsize(), None, "without the lock, precheck writes no figures");
    let asked = Patience { if_locked: IfLocked::AskAgain, ..impatient() };
    let refused = mailbox.under("1000S").within(asked).precheck(100);
    assert!(matches!(refused, Err(Denied::Unknown(PoolError::Mailbox(QuotaError::Locked(_))))), "{refused:?}");
    assert_eq!(open.recount(Effort::Changed).unwrap().usage, usage(900, 1));
    assert_eq!(mailbox.maildirsize(), None, "without the lock, a recount writes no figures");
    let open = mailbox.under("1000S").within(Patience { if_locked: IfLocked::Insist, ..impatient() });
    let recount = open.recount(Effort::Changed).unwrap();
    assert_eq!((recount.usage, recount.locked), (usage(900, 1), false));
    assert_eq!(mailbox.maildirsize().as_deref(), Some("1000S\n900 1\n"), "a caller that insists writes the figures");
    assert!(open.check().is_ok() && open.adjust(-1, 0).is_ok());
    open.forget().unwrap();
}

#[test]
fn a_mailbox_that_stays_locked_accepts_mail_up_to_its_limit() {
    let mailbox = Mailbox::new();
    let _held = hold(&mailbox);
    for kept in [None, Some("100S\n0 0\n")] {
        for file in fs::read_dir(mailbox.path().join("new")).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        let _ = fs::remove_file(mailbox.path().join("maildirsize"));
        if let Some(kept) = kept {
            mailbox.write_maildirsize(kept, Duration::ZERO);
        }
        let open = mailbox.under("100S").within(impatient());
        let deliver = || crate::delivery::Spooled::read(&open, &mut &[b'x'; 60][..]).unwrap().store(None);
        assert_eq!(deliver().unwrap().usage, Some(usage(60, 1)));
        assert!(matches!(deliver(), Err(crate::delivery::DeliveryError::Denied(Denied::Mailbox(_)))));
        assert_eq!(mailbox.maildirsize(), kept.map(|kept| format!("{kept}60 1\n")));
    }
}

#[test]
fn the_lock_is_waited_for_briefly_and_once() {
    let mailbox = Mailbox::new();
    let _held = hold(&mailbox);
    let begin = Instant::now();
    let open = mailbox.under("100S");
    for _ in 0..5 {
        open.recount(Effort::Changed).unwrap();
    }
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(8), "{took:?}");
}

/// Returns for each operation whether it fails because the deadline passes.
fn late(mailbox: &Mailbox, time: Duration) -> [bool; 4] {
    let patience = || Patience { answer: Instant::now() + time, ..impatient() };
    let is_late = |error: QuotaError| matches!(error, QuotaError::Late(_));
    let open = || mailbox.under("1000S").within(patience());
    [
        open().count().is_err_and(is_late),
        open().recount(Effort::Changed).is_err_and(is_late),
        matches!(open().precheck(1), Err(Denied::Unknown(PoolError::Mailbox(QuotaError::Late(_))))),
        matches!(open().reserve(1), Err(Denied::Unknown(PoolError::Mailbox(QuotaError::Late(_))))),
    ]
}

#[test]
fn a_count_of_very_many_names_ends_at_the_deadline() {
    let mailbox = Mailbox::new();
    fs::create_dir(mailbox.path().join("deep")).unwrap();
    symlink("../deep/../".repeat(300) + "nowhere", mailbox.path().join("deep/link")).unwrap();
    for number in 0..5_000 {
        let name = format!("{number:0240}");
        if number % 10 == 0 {
            symlink("../deep/link", mailbox.path().join("cur").join(name)).unwrap();
        } else {
            fs::write(mailbox.path().join("cur").join(name), "").unwrap();
        }
    }
    let begin = Instant::now();
    assert_eq!(late(&mailbox, Duration::from_millis(2)), [true; 4]);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(mailbox.maildirsize(), None, "the figures of an incomplete count are not written");
    assert_eq!(mailbox.under("1000S").count().unwrap(), usage(0, 4_500));
}

#[test]
fn too_many_folders_are_an_error_at_once() {
    let mailbox = Mailbox::new();
    for number in 0..=folder::MOST_IN_NAMES / 255 {
        fs::create_dir(mailbox.path().join(format!(".{number:0254}"))).unwrap();
    }
    let refused = mailbox.open().count().unwrap_err();
    assert!(matches!(refused, QuotaError::TooManyFolders { .. }), "{refused}");
    assert_eq!(late(&mailbox, Duration::ZERO), [true; 4]);
}

#[test]
fn the_sums_of_very_many_folders_are_kept_as_far_as_they_fit() {
    let mailbox = Mailbox::new();
    for number in 0..5_000 {
        let cur = mailbox.path().join(format!(".{number:0230}/cur"));
        fs::create_dir_all(&cur).unwrap();
        fs::write(cur.join("1,S=10:2,S"), "").unwrap();
    }
    let open = mailbox.under("1000000S");
    for _ in 0..2 {
        assert_eq!(open.recount(Effort::Changed).unwrap().usage, usage(50_000, 5_000));
    }
    let kept = fs::metadata(mailbox.path().join("maildirsums")).unwrap().len();
    assert!(kept <= maildirsums::MOST_BYTES && kept > maildirsums::MOST_BYTES / 2, "{kept}");
}

#[test]
fn a_file_of_sums_that_is_too_long_or_invalid_is_ignored() {
    let mailbox = Mailbox::new();
    mailbox.put("cur/1.a,S=10:2,S", 10);
    let line = "cur 1 1 1.000000000 1.000000000 0 0 .\n";
    for text in [
        format!("maildirsums 2 trash=0\n{}", line.repeat(2_000_000)),
        format!("maildirsums 2 trash=0\n{}", line.repeat(20_000)),
        "x".repeat(1 << 20),
    ] {
        fs::write(mailbox.path().join("maildirsums"), &text).unwrap();
        let begin = Instant::now();
        assert_eq!(mailbox.open().recount(Effort::Changed).unwrap().usage, usage(10, 1));
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert!(fs::metadata(mailbox.path().join("maildirsums")).unwrap().len() < 1000);
    }
}
