//! The questions of mail servers and the replies to them.

use super::{account, questions, read};
use crate::reply::{NO_MAIL, Unsendable, account_text, alias_text, line};
use crate::request::{Uncomposable, parse};
use crate::{Command, MAX_LINE, MAX_REPLY, Parse, Question, Reply, Request};
use mailauth_core::Account;
use mailauth_core::quota::Limits;
use mailauth_core::routing::Destination;

#[test]
fn a_question_is_about_the_rest_of_its_line() {
    assert_eq!(read("ASK domain x.example\n"), "domain x.example");
    assert_eq!(read("ASK account anna@x.example\n"), "account of anna@x.example");
    assert_eq!(read("ASK alias info@x.example\n"), "alias info@x.example");
    assert_eq!(read("ASK recipient 1000 anna@x.example\n"), "1000 bytes for anna@x.example");
    assert_eq!(read("ASK account  two words \n"), "account of  two words ");
    assert_eq!(read("ASK alias a=b\n"), "alias a=b");
    assert_eq!(read("ASK sender anna@x.example info@x.example\n"), "anna@x.example as info@x.example");
    assert_eq!(read("ASK sender anna a b \n"), "anna as a b ");
    assert_eq!(read("ASK sender anna <>\n"), "anna as ");
    assert_eq!(read("ASK sender anna \n"), "anna as ");
    assert_eq!(read(b"ASK recipient 5 \xff\0 5\r\n"), "5 bytes for \\xff\\x00 5\\r");
    assert_eq!(read("TCPREMOTEIP=::1\nASK domain x\n"), "domain x, at ::1");
    assert_eq!(read("ASK domain x"), "incomplete");
    assert_eq!(read("ASK=domain x\n"), "incomplete", "a line of metadata");
}

#[test]
fn a_size_is_a_number_or_unknown() {
    let size = |size: &str| read(format!("ASK recipient {size} anna\n"));
    assert_eq!(size("-1"), "0 bytes for anna", "like an empty message");
    assert_eq!(size("0"), "0 bytes for anna");
    assert_eq!(size("007"), "7 bytes for anna");
    assert_eq!(size("18446744073709551615"), "18446744073709551615 bytes for anna");
    assert_eq!(size("18446744073709551616"), "18446744073709551615 bytes for anna", "larger than any limit");
    assert_eq!(size(&"9".repeat(100)), "18446744073709551615 bytes for anna");
    for wrong in ["", "-2", "-", "+5", "5K", "1.5", "0x5", "many"] {
        assert_eq!(size(wrong), "malformed: Field", "{wrong:?}");
    }
}

#[test]
fn a_question_without_all_its_parts_is_malformed() {
    for question in [
        "",
        " ",
        " domain",
        " domain ",
        " account",
        " account ",
        " alias ",
        " recipient",
        " recipient ",
        " recipient 5",
        " recipient 5 ",
        " recipient anna",
        " recipient anna 5",
        " uid anna",
        " DOMAIN x.example",
        "  domain x.example",
    ] {
        assert_eq!(read(format!("ASK{question}\n")), "malformed: Field", "{question:?}");
    }
    assert_eq!(read("ask domain x.example\n"), "malformed: Command");
    assert_eq!(read("ASK\tdomain x.example\n"), "malformed: Command");
}

#[test]
fn a_server_reads_the_question_that_a_client_writes() {
    for about in [b"anna@x.example".as_slice(), b" two  words ", b"a=b", b"-1 anna", b"\xff\xfe", &[b'x'; 8000]] {
        for question in questions(about) {
            let written = question.compose().unwrap();
            let Parse::Complete(Request { command: Command::Ask(read), .. }) = parse(written.expose(), false) else {
                panic!("{question:?} is not read as a question");
            };
            assert_eq!(read, question);
        }
    }
}

#[test]
fn a_question_about_an_invalid_address_is_not_written() {
    for about in [b"".as_slice(), b"anna\n", b"anna\nASK domain x", b"a\0b", b"a\tb", b"a\x7fb", &[b'x'; MAX_LINE]] {
        // An empty address is valid in a question about a sender.
        for question in questions(about).into_iter().take(if about.is_empty() { 6 } else { 7 }) {
            assert_eq!(question.compose().map(|_| ()), Err(Uncomposable("address")), "{question:?}");
        }
    }
    let sender = |login: &[u8]| Question::Sender { login: login.to_vec(), address: Vec::new() }.compose();
    assert_eq!(sender(b"anna").unwrap().expose(), b"ASK sender anna <>\n");
    for login in [b"".as_slice(), b"an na", b"anna\n", b"an\tna"] {
        assert_eq!(sender(login).map(|_| ()), Err(Uncomposable("login")));
    }
}

#[test]
fn a_reply_to_a_question_is_a_word_and_a_text() {
    assert_eq!(Reply::read(b"OK\n", false), Reply::Ok);
    assert_eq!(Reply::read(b"OK a, b\n", false), Reply::Text("a, b"));
    assert_eq!(Reply::read("OK name=\"Jürgen\"\n".as_bytes(), true), Reply::Text("name=\"Jürgen\""));
    assert_eq!(Reply::read(b"FAIL\n", false), Reply::Fail);
    assert_eq!(Reply::read(b"OVER 10 of 10 messages\n", false), Reply::Over("10 of 10 messages"));
    assert_eq!(Reply::read(b"LATER the database is away.\n", false), Reply::Later("the database is away."));
    assert_eq!(Reply::read(b"", true), Reply::Nothing { unread: false });
    let garbage: [&[u8]; 10] = [
        b"OK a",
        b"OVER 10 of 10",
        b"LATER",
        b"LATER\n",
        b"OVER\n",
        b"FAIL why\n",
        b"YES\n",
        b"ok a\n",
        b"OK a\tb\n",
        b"OK \xff\n",
    ];
    for cut in garbage.into_iter().chain([b"OK a\nOK b\n".as_slice(), b" OK a\n"]) {
        assert!(matches!(Reply::read(cut, true), Reply::Unreadable(_)), "{}", cut.escape_ascii());
        assert_eq!(Reply::read(cut, false), Reply::Incomplete, "{}", cut.escape_ascii());
    }
}

#[test]
fn a_reply_with_any_text_is_one_line_that_a_client_reads() {
    assert_eq!(line("OK", ""), "OK\n");
    assert_eq!(line("LATER", "first\r\nUID=0\n.\n"), "LATER first\\r\\nUID=0\\n.\\n\n");
    assert_eq!(line("OVER", "a\u{85}b\0c\x1b[2J"), "OVER a\\u{85}b\\u{0}c\\u{1b}[2J\n");
    for text in ["x".repeat(20_000), "ü".repeat(20_000), "😀\n".repeat(5000)] {
        let written = line("LATER", &text);
        assert!((8000..=MAX_REPLY).contains(&written.len()), "{} bytes", written.len());
        assert!(matches!(Reply::read(written.as_bytes(), false), Reply::Later(_)));
    }
}

fn text_of(account: &Account) -> Result<String, Unsendable> {
    account_text(&Destination { account: Box::new(account.clone()), detail: String::new() })
}

#[test]
fn the_text_of_an_account_has_the_detail_of_its_address() {
    let text = account_text(&Destination { account: Box::new(account()), detail: "news".into() }).unwrap();
    assert!(text.ends_with(" options=\"disableimap=1\" detail=\"news\""), "{text}");
}

#[test]
fn switched_off_mail_has_its_own_reply() {
    for length in 1..NO_MAIL.len() {
        assert_eq!(Reply::read(&NO_MAIL[..length], false), Reply::Incomplete);
    }
    assert_eq!(Reply::read(NO_MAIL, false), Reply::NoMail);
}

#[test]
fn the_text_of_an_account_has_everything_that_delivery_needs() {
    assert_eq!(
        text_of(&account()).unwrap(),
        "login=\"anna@x.example\" uid=\"5000\" gid=\"5001\" home=\"/mail/anna\" maildir=\"/mail/anna/Maildir\" \
         quota_bytes=\"1000\" quota_messages=\"10\" name=\"Anna Example, room 5\" options=\"disableimap=1\""
    );
    let bare = Account { maildir: None, quota: Limits::NONE, name: String::new(), options: String::new(), ..account() };
    assert_eq!(
        text_of(&bare).unwrap(),
        "login=\"anna@x.example\" uid=\"5000\" gid=\"5001\" home=\"/mail/anna\" maildir=\"/mail/anna/Maildir\" \
         quota_bytes=\"0\" quota_messages=\"0\" name=\"\" options=\"\""
    );
    let elsewhere = Account { maildir: Some("/srv/anna".into()), ..account() };
    assert!(text_of(&elsewhere).unwrap().contains(" maildir=\"/srv/anna\" "));
}

#[test]
fn quotes_and_backslashes_in_values_are_escaped() {
    let odd = Account {
        name: r#"Anna "uid=0" O\'x "#.into(),
        home: r#"/mail/a b\"#.into(),
        maildir: Some(r#"" uid="0"#.into()),
        ..account()
    };
    let text = text_of(&odd).unwrap();
    assert!(text.contains(r#" name="Anna \"uid=0\" O\\'x " options="#), "{text}");
    assert!(text.contains(r#" home="/mail/a b\\" maildir="/mail/a b\\/\" uid=\"0" quota_bytes="#), "{text}");
}

#[test]
fn an_account_with_a_control_character_has_no_text() {
    let refused = |account: Account| text_of(&account).unwrap_err();
    assert_eq!(refused(Account { name: "x\ny".into(), ..account() }), Unsendable::ControlCharacter("name"));
    assert_eq!(refused(Account { options: "a\u{85}b".into(), ..account() }), Unsendable::ControlCharacter("options"));
    assert_eq!(refused(Account { home: "/a\0".into(), ..account() }), Unsendable::ControlCharacter("home"));
    assert_eq!(refused(Account { maildir: Some("a\tb".into()), ..account() }), Unsendable::ControlCharacter("maildir"));
    let long = |length| Account { options: "x".repeat(length), ..account() };
    let whole = line("OK", &text_of(&long(7900)).unwrap());
    assert!(whole.ends_with("x\"\n") && whole.len() <= MAX_REPLY);
    assert_eq!(refused(long(8191)), Unsendable::TooLong);
}

#[test]
fn the_text_of_an_alias_is_a_list() {
    let list = |targets: &[&str]| alias_text(&targets.iter().map(|target| (*target).to_owned()).collect::<Vec<_>>());
    assert_eq!(list(&["anna@x.example"]).unwrap(), "anna@x.example");
    assert_eq!(list(&["anna@x.example", "b@else.example"]).unwrap(), "anna@x.example, b@else.example");
    assert_eq!(list(&["anna@x.example"; 1000]), Err(Unsendable::TooLong), "it is not cut");
}
