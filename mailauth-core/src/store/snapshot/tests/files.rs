//! The file: when it is made, and when it is left alone.

use super::*;

#[test]
fn an_unreadable_file_is_replaced_and_one_that_others_may_read_is_not() {
    let fixture = fixture();
    fs::write(fixture.path(), [7; 10_000]).unwrap();
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let snapshot = fixture.open_with_copy();
    assert_eq!(fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o777, 0o600);
    drop(snapshot);
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o640)).unwrap();
    fixture.stop_database();
    assert_eq!(look(&fixture.open(), "anna@x.example"), Err(outage()));
}

#[test]
fn a_removed_file_and_one_whose_folder_is_made_later_are_filled() {
    let mut fixture = fixture();
    fixture.config.outage.snapshot = fixture.folder.path().join("later/copy.db");
    let snapshot = fixture.open();
    assert_eq!(look(&snapshot, "anna@x.example"), Ok(("one".into(), false)));
    assert_eq!(snapshot.state().snapshot, None);
    fs::create_dir(fixture.folder.path().join("later")).unwrap();
    eventually("copy", || snapshot.state().snapshot.is_some());
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(file::beside(fixture.path(), end));
    }
    eventually("second copy", || fixture.path().exists() && snapshot.state().snapshot.is_some());
    fixture.stop_database();
    assert_eq!(look(&snapshot, "anna@x.example"), copied("one"));
}
