//! The answers that clients of the daemon get.

mod harness;

use harness::*;
use mailauth_core::account::AccountRow;
use mailauth_core::quota::Limits;
use std::io::Write;
use std::time::Duration;

#[test]
fn a_right_password_gets_the_record_and_a_wrong_one_fail() {
    let server = serve(&two_accounts());
    assert_eq!(server.ask(auth("anna@x.example", "secret")), record("anna"));
    assert_eq!(server.ask(auth("ANNA", "secret")), record("anna"));
    assert_eq!(server.ask(auth("anna", "Secret")), "FAIL\n");
    assert_eq!(server.ask(auth("nobody", "secret")), "FAIL\n");
    assert_eq!(server.ask(auth("anna", "secret\0junk")), "FAIL\n");
    assert_eq!(server.ask(pre("anna")), record("anna"));
    assert_eq!(server.ask(pre("nobody")), "FAIL\n");
    assert_eq!(server.ask("PRE authother imap anna\n"), "FAIL\n");
    assert_eq!(server.ask("HELO\n"), "");
}

#[test]
fn an_outage_means_no_answer_to_any_request() {
    let table = two_accounts();
    let server = serve(&table);
    table.fail(true);
    let passwd = "PASSWD imap\tanna\tsecret\tlong enough\n".to_owned();
    for request in [pre("anna"), pre("nobody"), auth("anna", "secret"), passwd, "ENUMERATE\n".into()] {
        assert_eq!(server.ask(&request), "", "{request:?}");
    }
    for question in
        ["domain x.example", "account anna", "account nobody", "alias anna", "recipient 5 anna", "recipient 5 nobody"]
    {
        let reply = server.ask(ask(question));
        assert_eq!(reply, "LATER the database at memory cannot be reached: on purpose\n", "{question:?}");
    }
    table.fail(false);
    assert_eq!(server.ask(pre("anna")), record("anna"));
}

#[test]
fn a_record_has_the_values_of_the_row() {
    let full = AccountRow {
        home: Some("/home/anna".into()),
        maildir: Some("Mail".into()),
        quota_bytes: Some(1000),
        quota_messages: Some(10),
        name: Some("Anna Example, room 5".into()),
        options: Some("disableimap=1".into()),
        ..row("anna@x.example", HASH)
    };
    assert_eq!(Limits { bytes: Some(1000), messages: Some(10) }.to_string(), "1000S,10C");
    let server = serve(&Table::with([full]));
    assert_eq!(
        server.ask(auth("anna", "secret")),
        "UID=5000\nGID=5001\nHOME=/home/anna\nADDRESS=anna@x.example\nNAME=Anna Example\nMAILDIR=Mail\n\
         QUOTA=1000S,10C\nOPTIONS=disableimap=1\n.\n"
    );
}

#[test]
fn a_row_with_a_line_break_cannot_log_in_and_is_not_listed() {
    let broken = AccountRow { name: Some("x\nUID=0".into()), ..row("anna@x.example", HASH) };
    let server = serve(&Table::with([broken]));
    assert_eq!(server.ask(auth("anna", "secret")), "FAIL\n");
    assert_eq!(server.ask(pre("anna")), "FAIL\n");
    let list = server.ask("ENUMERATE\n");
    assert!(list.ends_with("\n.\n") && !list.contains("anna"), "{list}");
}

#[test]
fn a_record_that_is_too_long_for_clients_is_not_now() {
    let long = AccountRow { options: Some("x".repeat(9000)), ..row("anna@x.example", HASH) };
    let server = serve(&Table::with([long]));
    assert_eq!(server.ask(auth("anna", "secret")), "");
}

#[test]
fn passwords_are_sent_only_if_the_configuration_says_so() {
    let table = Table::with([row("anna@x.example", HASH), row("clear@x.example", "{PLAIN}open")]);
    let hash_line = format!("PASSWD={HASH}\n");
    let shut = serve(&table);
    assert!(!shut.ask(auth("anna", "secret")).contains("PASSWD"));
    assert!(!shut.ask(pre("clear")).contains("PASSWD"));
    let open = serve_with(&table, |courier| {
        courier.send_hash = true;
        courier.send_clear = true;
    });
    assert!(open.ask(pre("anna")).contains(&hash_line));
    assert!(!open.ask(pre("anna")).contains("PASSWD2"), "a hash is not sent as if it were clear");
    assert!(open.ask(auth("anna", "secret")).contains(&(hash_line + "PASSWD2=secret\n")));
    assert!(open.ask(pre("clear")).contains("PASSWD2=open\n"));
    assert!(!open.ask(pre("clear")).contains("PASSWD="), "a clear password is not sent as if it were a hash");
    let hash_only = serve_with(&table, |courier| courier.send_hash = true);
    assert!(!hash_only.ask(pre("clear")).contains("open"));
}

#[test]
fn a_look_up_sends_clear_passwords_only_to_named_users() {
    let table = Table::with([row("anna@x.example", HASH), row("clear@x.example", "{PLAIN}open")]);
    let named = |users: &[String]| serve_with(&table, |courier| courier.clear_users = users.to_vec());
    let ours = named(&["40001".into(), rustix::process::geteuid().as_raw().to_string()]);
    assert_eq!(ours.ask(pre("clear")), record("clear").replace(".\n", "PASSWD2=open\n.\n"));
    assert_eq!(ours.ask(pre("anna")), record("anna"), "a hash is not a clear password");
    assert_eq!(ours.ask(auth("clear", "open")), record("clear"));
    assert!(!ours.ask("ENUMERATE\n").contains("open"));
    for others in [named(&["40001".into()]), named(&[])] {
        assert_eq!(others.ask(pre("clear")), record("clear"), "this process's own user has to be named too");
    }
}

#[test]
fn a_clear_password_with_a_control_character_is_not_sent() {
    let own = rustix::process::geteuid().as_raw().to_string();
    let table = Table::with([row("clear@x.example", "{PLAIN}op\ten")]);
    let server = serve_with(&table, |courier| courier.clear_users = vec![own]);
    assert_eq!(server.ask(pre("clear")), record("clear"));
}

#[test]
fn a_question_about_a_domain_or_an_alias_is_answered() {
    let table = two_accounts();
    table.alias("info@x.example", &["Anna@x.example", "box@else.example"]);
    let server = serve(&table);
    assert_eq!(server.ask(ask("domain X.example")), "OK\n");
    assert_eq!(server.ask(ask("domain y.example")), "FAIL\n");
    assert_eq!(server.ask(ask("domain no name")), "FAIL\n");
    assert_eq!(server.ask(ask("alias INFO@x.example")), "OK Anna@x.example, box@else.example\n");
    assert_eq!(server.ask(ask("alias anna@x.example")), "FAIL\n");
    assert_eq!(server.ask(b"ASK alias \xff\n"), "FAIL\n");
    assert_eq!(server.ask(ask("uid anna")), "", "an invalid question gets no answer");
    assert_eq!(server.ask(ask("domain")), "");
}

#[test]
fn a_question_about_an_account_is_answered_with_all_fields() {
    let odd =
        AccountRow { name: Some(r#"Anna "A" \ "#.into()), quota_bytes: Some(1000), ..row("anna@x.example", HASH) };
    let long = AccountRow { options: Some("x".repeat(9000)), ..row("long@x.example", HASH) };
    let broken = AccountRow { name: Some("x\nUID=0".into()), ..row("broken@x.example", HASH) };
    let off = AccountRow { enabled: false, ..row("off@x.example", HASH) };
    let server = serve(&Table::with([odd, long, broken, off]));
    assert_eq!(
        server.ask(ask("account ANNA")),
        "OK login=\"anna@x.example\" uid=\"5000\" gid=\"5001\" home=\"/var/mail/x.example/anna\" \
         maildir=\"/var/mail/x.example/anna/Maildir\" quota_bytes=\"1000\" quota_messages=\"0\" \
         name=\"Anna \\\"A\\\" \\\\ \" options=\"\"\n"
    );
    assert_eq!(server.ask(ask("account off@x.example")), "FAIL\n");
    assert_eq!(server.ask(ask("account nobody@x.example")), "FAIL\n");
    let later = |address: &str| server.ask(ask(&format!("account {address}")));
    assert!(later("long@x.example").starts_with("LATER the answer cannot be sent: "));
    assert!(later("broken@x.example").starts_with("LATER account broken@x.example: column name "));
}

#[test]
fn a_question_about_a_recipient_is_answered_by_its_quota() {
    let folder = tempfile::tempdir().unwrap();
    let lost =
        AccountRow { quota_bytes: Some(1000), home: Some("/proc/version".into()), ..row("lost@x.example", HASH) };
    let table = Table::with([resident(folder.path(), "anna"), lost]);
    table.alias("info@x.example", &["anna@x.example"]);
    let server = serve(&table);
    let recipient = |size: &str, address: &str| server.ask(ask(&format!("recipient {size} {address}")));
    for (size, address) in [("-1", "anna"), ("1000", "ANNA@x.example"), ("1000", "info@x.example")] {
        assert_eq!(recipient(size, address), "OK\n", "{address}");
    }
    let over = "OVER over quota: 0 of 1000 bytes used, and this message would be 1 over it\n";
    assert_eq!(recipient("1001", "anna@x.example"), over);
    assert_eq!(recipient("1001", "info@x.example"), over);
    assert!(recipient(&"9".repeat(30), "anna").starts_with("OVER "));
    assert_eq!(recipient("5", "nobody@x.example"), "FAIL\n");
    assert_eq!(recipient("5", "anna@y.example"), "FAIL\n");
    assert!(recipient("5", "lost@x.example").starts_with("LATER it is not known whether there is room: "));
    assert_eq!(recipient("5K", "anna"), "");
}

#[test]
fn an_enumeration_has_all_pages_and_ends_with_a_dot() {
    let rows = (0..1234).map(|n| AccountRow { enabled: n % 100 != 7, ..row(&format!("u{n:04}@x.example"), "") });
    let server = serve(&Table::with(rows));
    let list = server.ask("ENUMERATE\n");
    assert!(list.starts_with("# mailauth\n\nu0000@x.example\t5000\t5001\t/var/mail/x.example/u0000\tMaildir\t\n"));
    assert!(list.ends_with("u1233@x.example\t5000\t5001\t/var/mail/x.example/u1233\tMaildir\t\n.\n"));
    assert_eq!(list.lines().count(), 2 + 1234 - 13 + 1);
}

#[test]
fn an_enumeration_that_fails_has_no_final_dot() {
    let table = Table::with((0..1234).map(|n| row(&format!("u{n:04}@x.example"), "")));
    table.fail_after_pages(1);
    let server = serve(&table);
    let list = server.ask("ENUMERATE\n");
    assert!(list.starts_with("# mailauth\n") && !list.contains("\n.\n"), "{} bytes", list.len());
}

#[test]
fn an_empty_table_is_a_complete_list() {
    assert_eq!(serve(&Table::with([])).ask("ENUMERATE\n"), "# mailauth\n\n.\n");
}

#[test]
fn a_client_that_has_closed_its_side_is_answered() {
    let server = serve(&two_accounts());
    let mut client = server.connect();
    client.write_all(auth("anna", "secret").as_bytes()).unwrap();
    half_close(&client);
    assert_eq!(read_to_end(&mut client), record("anna"));
    let mut client = server.connect();
    client.write_all(b"PRE . imap anna").unwrap();
    half_close(&client);
    assert_eq!(read_to_end(&mut client), "");
}

#[test]
fn input_after_the_request_does_not_reset_the_connection() {
    let server = serve(&two_accounts());
    for more in ["\n", &"x".repeat(2000), &auth("anna", "secret")] {
        assert_eq!(server.ask(auth("anna", "secret") + more), record("anna"));
    }
    assert_eq!(server.ask("x".repeat(20_000)), "");
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let server = serve(&two_accounts());
    for request in [auth("anna", "secret"), "TCPREMOTEIP=::1\n".to_owned() + &pre("anna")] {
        let mut client = server.connect();
        for byte in request.bytes() {
            client.write_all(&[byte]).unwrap();
            std::thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(read_to_end(&mut client), record("anna"));
    }
}

#[test]
fn a_panic_only_affects_its_own_request() {
    let server = serve(&two_accounts());
    for _ in 0..20 {
        assert_eq!(server.ask(pre("panic")), "");
        assert_eq!(server.ask(ask("account panic")), "");
        assert_eq!(server.ask(ask("recipient 5 panic")), "");
    }
    assert_eq!(server.ask(pre("anna")), record("anna"));
    assert_eq!(server.ask(ask("recipient 5 anna")), "OK\n");
}

#[test]
fn clients_that_disconnect_early_do_no_harm() {
    let server = serve(&two_accounts());
    for n in 0..300 {
        let mut client = server.connect();
        client.write_all(&auth("anna", "secret").as_bytes()[..n % 32]).unwrap();
    }
    for _ in 0..50 {
        server.connect().write_all(b"ENUMERATE\n").unwrap();
    }
    assert_eq!(server.ask(auth("anna", "secret")), record("anna"));
}

#[test]
fn a_password_can_be_changed_with_the_old_one() {
    let server = serve(&two_accounts());
    let change = |old: &str, new: &str| server.ask(format!("PASSWD imap\tanna\t{old}\t{new}\n"));
    assert_eq!(change("wrong", "long enough"), "FAIL\n");
    assert_eq!(change("secret", ""), "FAIL\n");
    assert_eq!(change("secret", "short"), "FAIL\n");
    assert_eq!(change("secret", "long\tenough"), "FAIL\n");
    assert_eq!(server.ask(auth("anna", "secret")), record("anna"));
    assert_eq!(change("secret", "long enough"), "OK\n");
    assert_eq!(server.ask(auth("anna", "secret")), "FAIL\n");
    assert_eq!(server.ask(auth("anna", "long enough")), record("anna"));
}

#[test]
fn a_challenge_needs_an_account_with_a_clear_password() {
    // The example of RFC 2195.
    let body = "imap\ncram-md5\nPDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n\
                dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\n";
    let request = format!("AUTH {}\n{body}", body.len());
    let over = |stored: &str| serve(&Table::with([row("tim@x.example", stored)]));
    assert_eq!(over("{PLAIN}tanstaaftanstaaf").ask(&request), record("tim"));
    assert_eq!(over("{PLAIN}another").ask(&request), "FAIL\n");
    assert_eq!(over(HASH).ask(&request), "FAIL\n");
}
