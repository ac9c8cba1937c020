//! Damaged pages of the file.

use super::*;

/// Overwrites every page of the file that contains `what`, except the first page, and keeps the first `keep` bytes of
/// each. Returns the number of these pages.
fn overwrite(path: &Path, what: &str, keep: usize, with: u8) -> usize {
    let file = rusqlite::Connection::open(path).unwrap();
    let _: i64 = file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    let mut count = 0;
    for page in bytes.chunks_mut(4096).skip(1) {
        if page.windows(what.len()).any(|part| part == what.as_bytes()) {
            page[keep..].fill(with);
            count += 1;
        }
    }
    std::os::unix::fs::FileExt::write_all_at(&fs::OpenOptions::new().write(true).open(path).unwrap(), &bytes, 0)
        .unwrap();
    count
}

/// Each answer from a damaged file is right or "not now"; once the database answers, the file is made again.
#[test]
fn a_damaged_page_is_never_a_no_and_the_file_is_made_again() {
    for (keep, with) in [(0, 0), (0, 0xff), (0, b'x'), (8, b'x'), (200, 0), (2000, b'y')] {
        let fixture = fixture();
        for number in 0..500 {
            fixture.set_account(&format!("user{number:03}@x.example"), "one");
            fixture.store.set_alias(&format!("a{number:03}@x.example"), &["b@z.example"]);
        }
        drop(fixture.open_with_copy());
        fixture.stop_database();
        // One page holds the account, one the alias; the file contains each twice.
        let damaged = overwrite(fixture.path(), "user250@x.example", keep, with)
            + overwrite(fixture.path(), "a250@x.example", keep, with);
        assert!(damaged >= 4, "{damaged}");
        let snapshot = fixture.open();
        let mut answered = 0;
        for number in 0..500 {
            match look(&snapshot, &format!("user{number:03}@x.example")) {
                Ok(found) => {
                    assert_eq!(found, ("one".into(), true), "{number} with {keep} {with}");
                    answered += 1;
                }
                Err(error) => assert_eq!(error, outage()),
            }
            match snapshot.alias_targets(&format!("a{number:03}@x.example")) {
                Ok(found) => assert_eq!(found, ["b@z.example"], "{number} with {keep} {with}"),
                Err(error) => assert_eq!(error, outage()),
            }
        }
        assert!((1..500).contains(&answered), "{answered} with {keep} {with}");
        fixture.start_database();
        eventually("good file", || {
            keeper(&snapshot).freshness.began().is_some()
                && keeper(&snapshot).copy.damage().is_none()
                && look_from_outside(&fixture).is_ok()
        });
        fixture.stop_database();
        assert!((0..500).all(|n| look(&snapshot, &format!("user{n:03}@x.example")) == copied("one")), "{keep} {with}");
    }
}
