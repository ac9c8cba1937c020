//! The commands that only mailauth-courier knows.

use super::read;
use crate::flushed::Flushed;
use crate::request::{Uncomposable, changed, flush, forget, parse, status};
use crate::{Command, Parse, Request};
use mailauth_core::store::Changed;
use mailauth_core::{DomainName, Login};

#[test]
fn forget_names_a_login_or_none() {
    assert_eq!(read("FORGET\n"), "forget all");
    assert_eq!(read("FORGET anna@x.example\n"), "forget anna@x.example");
    assert_eq!(read("FORGET a=b c\n"), "forget a=b c");
    assert_eq!(read("FORGET anna"), "incomplete");
    assert_eq!(read("FORGETS\n"), "malformed: Command");
}

#[test]
fn changed_names_an_alias_or_a_domain_or_additions() {
    assert_eq!(read("CHANGED additions\n"), "changed Additions");
    assert_eq!(read("CHANGED alias Info@x.example\n"), "changed Alias(\"info@x.example\")");
    assert_eq!(read("CHANGED alias a=b@x.example\n"), "changed Alias(\"a=b@x.example\")");
    assert_eq!(read("CHANGED alias @X.example\n"), "changed Alias(\"@x.example\")");
    assert_eq!(read("CHANGED domain X.example\n"), "changed Domain(DomainName(\"x.example\"))");
    for rest in [
        "",
        " ",
        " additions x",
        " domain",
        " domain ",
        " domain a b",
        " alias",
        " alias @",
        " alias a\tb@x",
        " alias a b@x",
        " else x",
    ] {
        assert_eq!(read(format!("CHANGED{rest}\n")), "malformed: Field", "{rest:?}");
    }
    assert_eq!(read("CHANGED domain x"), "incomplete");
}

#[test]
fn a_server_reads_the_change_that_a_client_writes() {
    let login = Login::parse(b"a=b@x.example", None).unwrap();
    let domain = Changed::Domain(DomainName::parse("x.example").unwrap());
    for told in [domain, Changed::Additions, Changed::alias("@x.example").unwrap(), Changed::alias("a=b@x").unwrap()] {
        let composed = changed(&told).unwrap();
        let Parse::Complete(Request { command: Command::Changed(read), .. }) = parse(composed.expose(), false) else {
            panic!("{told:?}")
        };
        assert_eq!(read, told);
    }
    // Daemons of every version know this command.
    assert_eq!(changed(&Changed::Everything).unwrap().expose(), b"FORGET\n");
    assert_eq!(changed(&Changed::Account(login)).unwrap().expose(), b"FORGET a=b@x.example\n");
    assert_eq!(changed(&Changed::Alias("a\nb@x".into())).map(|_| ()), Err(Uncomposable("address")));
}

#[test]
fn a_server_reads_the_flush_that_a_client_writes() {
    for name in [None, Some("anna b@x.example"), Some("x.example")] {
        assert_eq!(read(flush(name).unwrap().expose()), format!("flush {name:?}"));
    }
    assert_eq!(read(b"FLUSH \xff\n"), "malformed: Field");
    assert_eq!(flush(Some("")).map(|_| ()), Err(Uncomposable("login")), "an empty name would mean everything");
    assert_eq!(flush(Some("a\nb")).map(|_| ()), Err(Uncomposable("login")));
    let told = Flushed { rows: 3, passwords: 1 };
    assert_eq!(Flushed::parse(&told.line()).unwrap(), told);
}

#[test]
fn status_has_no_argument() {
    assert_eq!(read("STATUS\n"), "status");
    assert_eq!(read("STATUS anna\n"), "malformed: Command");
    assert!(matches!(parse(status().expose(), false), Parse::Complete(Request { command: Command::Status, .. })));
}

#[test]
fn a_server_reads_the_forget_that_a_client_writes() {
    let read = |login: Option<&[u8]>| match parse(forget(login).unwrap().expose(), false) {
        Parse::Complete(Request { command: Command::Forget(read), .. }) => read,
        other => panic!("{other:?}"),
    };
    assert_eq!(read(None), None);
    assert_eq!(read(Some(b"anna@x.example")).as_deref(), Some(&b"anna@x.example"[..]));
    assert_eq!(forget(Some(b"")).map(|_| ()), Err(Uncomposable("login")), "an empty login would mean all accounts");
    assert_eq!(forget(Some(b"a\nb")).map(|_| ()), Err(Uncomposable("login")));
}
