//! Lines, metadata, lengths, and input that is not a request.

use super::{read, read_body, result};
use crate::request::parse;
use crate::{MAX_BODY, MAX_LINE, MAX_METADATA};

#[test]
fn metadata_comes_before_the_command() {
    assert_eq!(read("TCPREMOTEIP=192.0.2.1\nPRE . imap anna\n"), "look up anna for imap, at 192.0.2.1");
    assert_eq!(read("TCPREMOTEIP=::1\nFOO=a b\nENUMERATE\n"), "enumerate, at ::1");
    assert_eq!(read("=x\nENUMERATE\n"), "enumerate");
    assert_eq!(read("TCPREMOTEIP=\x1b[2J\nENUMERATE\n"), "enumerate", "a value that cannot be an address is dropped");
    let long = format!("TCPREMOTEIP={}\nENUMERATE\n", "1".repeat(4000));
    assert_eq!(read(long), format!("enumerate, at {}", "1".repeat(39)));
    assert_eq!(read("PRE=. imap anna\n"), "incomplete", "a line of metadata");
}

#[test]
fn metadata_has_a_maximum_length() {
    let lines = |count| "TCPREMOTEIP=192.0.2.1\n".repeat(count) + "ENUMERATE\n";
    assert_eq!(read(lines(MAX_METADATA / 22)), "enumerate, at 192.0.2.1");
    assert_eq!(read(lines(MAX_METADATA / 22 + 1)), "malformed: Metadata");
}

#[test]
fn an_unknown_command_or_a_missing_field_is_malformed() {
    for (input, why) in [
        ("\n", "Command"),
        ("\nPRE . imap anna\n", "Command"),
        (" PRE . imap anna\n", "Command"),
        ("HELO there\n", "Command"),
        ("pre . imap anna\n", "Command"),
        ("enumerate\n", "Command"),
        ("ENUMERATE\r\n", "Command"),
        ("ENUMERATE x\n", "Command"),
        ("PRE\t.\timap\tanna\n", "Command"),
        ("PRE\n", "Field"),
        ("PRE \n", "Field"),
        ("PRE .\n", "Field"),
        ("PRE . imap\n", "Field"),
        ("PRE . imap \n", "Field"),
    ] {
        assert_eq!(read(input), format!("malformed: {why}"), "{input:?}");
    }
}

#[test]
fn a_length_is_a_decimal_number() {
    for length in ["", "-5", "+5", " 5", "5 ", "5\r", "many", "0x5", "8192", "4294967301", "99999999999999999999999"] {
        assert_eq!(read(format!("AUTH {length}\nimap\n")), "malformed: Length", "{length:?}");
    }
    assert_eq!(read("AUTH\n"), "malformed: Length");
    assert_eq!(read("AUTH 00023\nimap\nlogin\nanna\nsecret\n"), "log in anna with secret for imap");
    assert_eq!(read("AUTH 0\n"), "malformed: Field");
    assert_eq!(read("AUTH 4\nimap\n"), "malformed: Field");
    assert_eq!(read("AUTH 5\nimap\n"), "malformed: Field");
    assert_eq!(read("AUTH 6\nimap\n\n"), "never");
}

#[test]
fn a_length_decides_where_the_body_ends() {
    let body = "imap\nlogin\nanna\nsecret\n";
    assert_eq!(read(format!("AUTH 23\n{body}")), "log in anna with secret for imap");
    assert_eq!(read(format!("AUTH 22\n{body}")), "log in anna with secret for imap");
    assert_eq!(read(format!("AUTH 21\n{body}")), "log in anna with secre for imap");
    assert_eq!(read(format!("AUTH 24\n{body}")), "incomplete");
    assert_eq!(result(parse(format!("AUTH 24\n{body}").as_bytes(), true)), "malformed: Cut");
}

#[test]
fn lines_and_bodies_have_a_maximum_length() {
    let pre = |length: usize| "PRE . imap ".to_owned() + &"x".repeat(length - 11) + "\n";
    assert!(read(pre(MAX_LINE)).starts_with("look up"));
    assert_eq!(read(pre(MAX_LINE + 1)), "malformed: Line");
    assert_eq!(read("x".repeat(MAX_LINE)), "incomplete");
    assert_eq!(read("x".repeat(MAX_LINE + 1)), "malformed: Line", "before its end has arrived");
    let body = |length: usize| "imap\nlogin\nanna\n".to_owned() + &"x".repeat(length - 16);
    assert!(read_body(&body(MAX_BODY)).starts_with("log in"));
    assert_eq!(read_body(&body(MAX_BODY + 1)), "malformed: Length");
}

#[test]
fn input_that_ends_too_early_is_malformed() {
    for input in ["", "PRE . imap anna", "TCPREMOTEIP=::1\n", "AUTH 10", "AUTH 10\nimap", "ENUMERATE"] {
        assert_eq!(read(input), "incomplete", "{input:?}");
        assert_eq!(result(parse(input.as_bytes(), true)), "malformed: Cut", "{input:?}");
    }
}
