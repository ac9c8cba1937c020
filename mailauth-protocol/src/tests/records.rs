//! Records of accounts, rows of an enumeration, and the plain replies.

use super::{account, text};
use crate::reply::{self, Passwords, RecordError, Unsendable, list_row};
use crate::{MAX_REPLY, Reply};
use mailauth_core::Account;
use mailauth_core::quota::Limits;

#[test]
fn a_record_has_couriers_lines_in_couriers_order() {
    let passwords = Passwords { hash: Some(b"{SHA}xyz"), clear: Some(b"secret") };
    assert_eq!(
        text(&reply::account(&account(), passwords).unwrap()),
        "UID=5000\nGID=5001\nHOME=/mail/anna\nADDRESS=anna@x.example\nNAME=Anna Example\nMAILDIR=Maildir\n\
         QUOTA=1000S,10C\nPASSWD={SHA}xyz\nPASSWD2=secret\nOPTIONS=disableimap=1\n.\n"
    );
}

#[test]
fn a_record_omits_empty_fields_and_passwords_not_permitted() {
    let bare = Account { maildir: None, quota: Limits::NONE, name: String::new(), options: String::new(), ..account() };
    assert_eq!(
        text(&reply::account(&bare, Passwords::default()).unwrap()),
        "UID=5000\nGID=5001\nHOME=/mail/anna\nADDRESS=anna@x.example\n.\n"
    );
}

#[test]
fn a_value_with_a_control_character_is_never_sent() {
    let broken = Account { name: "x\nUID=0".into(), ..account() };
    assert_eq!(reply::account(&broken, Passwords::default()).map(|_| ()), Err(Unsendable::ControlCharacter("NAME")));
    let passwords = Passwords { clear: Some(b"a\rb"), ..Passwords::default() };
    assert_eq!(reply::account(&account(), passwords).map(|_| ()), Err(Unsendable::ControlCharacter("PASSWD2")));
    let broken = Account { home: "/a\tb".into(), ..account() };
    assert_eq!(list_row(&mut Vec::new(), &broken), Err(Unsendable::ControlCharacter("home")));
}

#[test]
fn a_record_longer_than_clients_read_is_not_sent() {
    let long = |length| Account { options: "x".repeat(length), ..account() };
    let fits = reply::account(&long(8000), Passwords::default()).unwrap();
    assert!(fits.len() <= MAX_REPLY);
    assert_eq!(reply::account(&long(8192), Passwords::default()).map(|_| ()), Err(Unsendable::TooLong));
}

#[test]
fn a_row_of_an_enumeration_has_six_fields() {
    let mut row = Vec::new();
    list_row(&mut row, &account()).unwrap();
    assert_eq!(text(&row), "anna@x.example\t5000\t5001\t/mail/anna\tMaildir\tdisableimap=1\n");
}

#[test]
fn a_client_reads_what_the_server_writes() {
    let passwords = Passwords { hash: Some(b"{SHA}xyz"), clear: None };
    let written = reply::account(&account(), passwords).unwrap();
    let Reply::Record(record) = Reply::read(&written, false) else { panic!("no record") };
    assert_eq!(record.account().unwrap(), Account { name: "Anna Example".into(), ..account() });
}

#[test]
fn a_client_distinguishes_the_three_answers() {
    assert_eq!(Reply::read(b"FAIL\n", false), Reply::Fail);
    assert_eq!(Reply::read(b"OK\n", false), Reply::Ok);
    assert_eq!(Reply::read(b"", false), Reply::Incomplete);
    assert_eq!(Reply::read(b"", true), Reply::Nothing { unread: false });
    for cut in [b"FAIL".as_slice(), b"OK", b"UID=1\n", b"UID=1\n.", b".\n", b"FAIL\nFAIL\n", b"UID=1.\n"] {
        assert!(matches!(Reply::read(cut, true), Reply::Unreadable(_)), "{}", cut.escape_ascii());
        assert_eq!(Reply::read(cut, false), Reply::Incomplete, "{}", cut.escape_ascii());
    }
    assert!(matches!(Reply::read(&[b'x'; MAX_REPLY + 1], false), Reply::Unreadable(_)));
}

#[test]
fn the_last_of_two_equal_lines_counts_and_unknown_ones_are_skipped() {
    let reply = b"UID=1\nGID=2\nHOME=/h\nADDRESS=anna\nFOO=bar\nUIDX=7\nUID=3\nnonsense\n.\n";
    let Reply::Record(record) = Reply::read(reply, true) else { panic!("no record") };
    assert_eq!(record.account().unwrap().uid, 3);
}

#[test]
fn a_record_with_a_missing_or_invalid_line_is_not_an_account() {
    let error = |lines: &str| match Reply::read(format!("{lines}.\n").as_bytes(), true) {
        Reply::Record(record) => record.account().unwrap_err(),
        other => panic!("{other}"),
    };
    assert_eq!(error("USERNAME=anna\nGID=1\nHOME=/h\nADDRESS=anna\n"), RecordError::Missing("UID"));
    assert_eq!(error("UID=1\nGID=1\nADDRESS=anna\n"), RecordError::Missing("HOME"));
    assert_eq!(error("UID=+1\nGID=1\nHOME=/h\nADDRESS=anna\n"), RecordError::Unreadable("UID"));
    assert_eq!(error("UID=4294967296\nGID=1\nHOME=/h\nADDRESS=anna\n"), RecordError::Unreadable("UID"));
    assert_eq!(error("UID=1\nGID=1\nHOME=/h\nADDRESS=anna\nQUOTA=lots\n"), RecordError::Unreadable("QUOTA"));
    assert_eq!(error("UID=1\nGID=1\nHOME=/h\x1b\nADDRESS=anna\n"), RecordError::Unreadable("HOME"));
}
