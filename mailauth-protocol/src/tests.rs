//! Requests and replies as bytes.

use super::question::{account_text, alias_text, said};
use super::*;
use mailauth_core::account::Password;
use mailauth_core::challenge::{CramMechanism, CramResponse};
use mailauth_core::printable::printable;
use mailauth_core::quota::Limits;
use mailauth_core::routing::Destination;
use mailauth_core::store::Changed;
use mailauth_core::{Account, DomainName, Login, Secret};
use proptest::collection::vec;
use proptest::prelude::*;

/// A request in a form that can be compared, with its secrets.
fn shown(request: Request) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let secret = |secret: &Secret| text(secret.expose());
    let command = match &request.command {
        Command::LookUp { service, login } => format!("look up {} for {}", text(login), text(service)),
        Command::LogIn { service, login, password } => {
            format!("log in {} with {} for {}", text(login), secret(password), text(service))
        }
        Command::Challenge { service, mechanism, response } => {
            let (login, challenge) = (text(response.login()), text(response.challenge()));
            let name = mechanism.name();
            format!("{name} {login} answers {} to {challenge} for {}", secret(response.digest()), text(service))
        }
        Command::ChangePassword { service, login, old, new } => {
            format!("change {} from {} to {} for {}", text(login), secret(old), secret(new), text(service))
        }
        Command::Enumerate => "enumerate".into(),
        Command::Status => "status".to_owned(),
        Command::Guesses(question) => format!("{question:?}"),
        Command::Changed(changed) => format!("changed {changed:?}"),
        Command::Forget(None) => "forget all".to_owned(),
        Command::Forget(Some(login)) => format!("forget {}", text(login)),
        Command::Ask(Question::Domain(name)) => format!("domain {}", text(name)),
        Command::Ask(Question::Account(address)) => format!("account of {}", text(address)),
        Command::Ask(Question::Alias(address)) => format!("alias {}", text(address)),
        Command::Ask(Question::Recipient { address, size }) => format!("{size} bytes for {}", text(address)),
        Command::Ask(Question::Sender { login, address }) => format!("{} as {}", text(login), text(address)),
        Command::Never(_) => "never".into(),
    };
    request.client.map_or(command.clone(), |client| format!("{command}, at {client}"))
}

fn result(parse: Parse) -> String {
    match parse {
        Parse::Incomplete => "incomplete".into(),
        Parse::Complete(request) => shown(request),
        Parse::Malformed(why) => format!("malformed: {why:?}"),
    }
}

fn read(input: impl AsRef<[u8]>) -> String {
    result(parse(input.as_ref(), false))
}

fn read_body(body: &str) -> String {
    read(format!("AUTH {}\n{body}", body.len()))
}

#[test]
fn a_look_up_names_service_and_login() {
    assert_eq!(read("PRE . imap anna@x.example\n"), "look up anna@x.example for imap");
    assert_eq!(read("PRE   .   imap   anna@x.example\n"), "look up anna@x.example for imap");
    assert_eq!(read("PRE . imap two words \n"), "look up two words  for imap", "the login is the rest of the line");
    assert_eq!(read("PRE . imap a=b\n"), "look up a=b for imap");
    assert_eq!(read(b"PRE . imap \xff\0\r\n"), "look up \\xff\\x00\\r for imap");
    assert_eq!(read("PRE authnosuch imap anna\n"), "never");
}

#[test]
fn a_login_has_its_password_in_the_body() {
    assert_eq!(read_body("imap\nlogin\nanna\nsecret\n"), "log in anna with secret for imap");
    assert_eq!(read_body("imap\nlogin\nanna\nsecret"), "log in anna with secret for imap");
    assert_eq!(read_body("imap\nlogin\nanna\n secret\r\n"), "log in anna with  secret\\r for imap");
    assert_eq!(read_body("\nlogin\nanna\nsecret\n"), "log in anna with secret for ");
    assert_eq!(read_body("ENUMERATE\nlogin\nanna\nsecret\n"), "log in anna with secret for ENUMERATE");
}

#[test]
fn a_nul_stays_in_the_value_it_was_sent_in() {
    assert_eq!(read_body("imap\nlogin\nanna\nsecret\0junk\n"), "log in anna with secret\\x00junk for imap");
    assert_eq!(read_body("imap\nlogin\nanna\0junk\nsecret\n"), "log in anna\\x00junk with secret for imap");
}

#[test]
fn what_no_account_can_fit_is_answered_without_asking() {
    for body in [
        "imap\nlogin\n\nsecret\n",
        "imap\nlogin\nanna\n\n",
        "imap\nlogin\nanna\n",
        "imap\nlogin\n",
        "imap\nlogin\nanna\nsecret\nextra\n",
        "imap\nlogin\n\nanna\nsecret\n",
        "imap\nLOGIN\nanna\nsecret\n",
        "imap\nplain\nanna\nsecret\n",
        "imap\n\nanna\nsecret\n",
        "imap\ncram-md5\n!!!!\n????\n",
        "imap\ncram-md5\nPDE+\n",
        "imap\ncram-md5\nPDE+\nbm9zcGFjZQ==\n",
        "imap\nCRAM-MD5\nPDE+\nYSBi\n",
        "imap\ncram-\nPDE+\nYSBi\n",
    ] {
        assert_eq!(read_body(body), "never", "{body:?}");
    }
    assert_eq!(read("PASSWD imap\tanna\told\tnew\textra\n"), "never");
    assert_eq!(read("PASSWD imap\tanna\told\tn\x01ew\n"), "never");
    assert_eq!(read("PASSWD imap\tanna\told\tnew\r\n"), "never");
}

#[test]
fn a_challenge_and_its_answer_are_base64() {
    // <1> and "anna b 0f": the login is what stands before the last space.
    let body = "imap\ncram-sha1\nPDE+\nYW5uYSBiIDBm\n";
    assert_eq!(read_body(body), "cram-sha1 anna b answers \\x0f to <1> for imap");
}

#[test]
fn a_password_change_has_four_fields() {
    assert_eq!(read("PASSWD imap\tanna\told pw\tnew pw\n"), "change anna from old pw to new pw for imap");
    assert_eq!(read("PASSWD imap\tanna\t\t\n"), "change anna from  to  for imap");
    assert_eq!(read("PASSWD imap\tanna\told\n"), "malformed: Field");
    assert_eq!(read("PASSWD imap anna old new\n"), "malformed: Field");
    assert_eq!(read("PASSWD\n"), "malformed: Field");
}

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
    assert_eq!(size("-1"), "0 bytes for anna", "as if there were nothing in it");
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
fn what_is_to_be_forgotten_is_a_login_or_all() {
    assert_eq!(read("FORGET\n"), "forget all");
    assert_eq!(read("FORGET anna@x.example\n"), "forget anna@x.example");
    assert_eq!(read("FORGET a=b c\n"), "forget a=b c");
    assert_eq!(read("FORGET anna"), "incomplete");
    assert_eq!(read("FORGETS\n"), "malformed: Command");
}

#[test]
fn a_change_is_of_an_alias_a_domain_or_additions() {
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
fn a_change_that_is_told_is_read_as_it_was() {
    let login = Login::parse(b"a=b@x.example", None).unwrap();
    let domain = Changed::Domain(DomainName::parse("x.example").unwrap());
    for told in [domain, Changed::Additions, Changed::alias("@x.example").unwrap(), Changed::alias("a=b@x").unwrap()] {
        let composed = changed(&told).unwrap();
        let Parse::Complete(Request { command: Command::Changed(read), .. }) = parse(composed.expose(), false) else {
            panic!("{told:?}")
        };
        assert_eq!(read, told);
    }
    // Which daemons of every age know.
    assert_eq!(changed(&Changed::Everything).unwrap().expose(), b"FORGET\n");
    assert_eq!(changed(&Changed::Account(login)).unwrap().expose(), b"FORGET a=b@x.example\n");
    assert_eq!(changed(&Changed::Alias("a\nb@x".into())).map(|_| ()), Err(Uncomposable("address")));
}

#[test]
fn status_has_no_argument() {
    assert_eq!(read("STATUS\n"), "status");
    assert_eq!(read("STATUS anna\n"), "malformed: Command");
    assert!(matches!(parse(status().expose(), false), Parse::Complete(Request { command: Command::Status, .. })));
}

#[test]
fn a_server_reads_the_change_that_a_client_tells() {
    let read = |login: Option<&[u8]>| match parse(forget(login).unwrap().expose(), false) {
        Parse::Complete(Request { command: Command::Forget(read), .. }) => read,
        other => panic!("{other:?}"),
    };
    assert_eq!(read(None), None);
    assert_eq!(read(Some(b"anna@x.example")).as_deref(), Some(&b"anna@x.example"[..]));
    assert_eq!(forget(Some(b"")).map(|_| ()), Err(Uncomposable("login")), "which would be all");
    assert_eq!(forget(Some(b"a\nb")).map(|_| ()), Err(Uncomposable("login")));
}

#[test]
fn metadata_comes_before_the_command() {
    assert_eq!(read("TCPREMOTEIP=192.0.2.1\nPRE . imap anna\n"), "look up anna for imap, at 192.0.2.1");
    assert_eq!(read("TCPREMOTEIP=::1\nFOO=a b\nENUMERATE\n"), "enumerate, at ::1");
    assert_eq!(read("=x\nENUMERATE\n"), "enumerate");
    assert_eq!(read("TCPREMOTEIP=\x1b[2J\nENUMERATE\n"), "enumerate", "what is no address is not kept");
    let long = format!("TCPREMOTEIP={}\nENUMERATE\n", "1".repeat(4000));
    assert_eq!(read(long), format!("enumerate, at {}", "1".repeat(39)));
    assert_eq!(read("PRE=. imap anna\n"), "incomplete", "a line of metadata");
}

#[test]
fn metadata_is_bounded_in_all() {
    let lines = |count| "TCPREMOTEIP=192.0.2.1\n".repeat(count) + "ENUMERATE\n";
    assert_eq!(read(lines(MAX_METADATA / 22)), "enumerate, at 192.0.2.1");
    assert_eq!(read(lines(MAX_METADATA / 22 + 1)), "malformed: Metadata");
}

#[test]
fn what_is_no_command_is_malformed() {
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
fn a_length_is_a_number_and_nothing_else() {
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
fn lines_and_bodies_have_their_greatest_length() {
    let pre = |length: usize| "PRE . imap ".to_owned() + &"x".repeat(length - 11) + "\n";
    assert!(read(pre(MAX_LINE)).starts_with("look up"));
    assert_eq!(read(pre(MAX_LINE + 1)), "malformed: Line");
    assert_eq!(read("x".repeat(MAX_LINE)), "incomplete");
    assert_eq!(read("x".repeat(MAX_LINE + 1)), "malformed: Line", "before its end has come");
    let body = |length: usize| "imap\nlogin\nanna\n".to_owned() + &"x".repeat(length - 16);
    assert!(read_body(&body(MAX_BODY)).starts_with("log in"));
    assert_eq!(read_body(&body(MAX_BODY + 1)), "malformed: Length");
}

#[test]
fn input_that_ends_too_early_is_no_request() {
    for input in ["", "PRE . imap anna", "TCPREMOTEIP=::1\n", "AUTH 10", "AUTH 10\nimap", "ENUMERATE"] {
        assert_eq!(read(input), "incomplete", "{input:?}");
        assert_eq!(result(parse(input.as_bytes(), true)), "malformed: Cut", "{input:?}");
    }
}

fn account() -> Account {
    Account {
        login: Login::parse(b"anna@x.example", None).unwrap(),
        uid: 5000,
        gid: 5001,
        home: "/mail/anna".into(),
        maildir: Some("Maildir".into()),
        quota: Limits { bytes: Some(1000), messages: Some(10) },
        name: "Anna Example, room 5".into(),
        options: "disableimap=1".into(),
        password: Password("{SHA}xyz".into()),
    }
}

fn text(reply: &[u8]) -> String {
    String::from_utf8(reply.to_vec()).unwrap()
}

#[test]
fn a_record_has_couriers_lines_in_couriers_order() {
    let passwords = Passwords { hash: Some(b"{SHA}xyz"), clear: Some(b"secret") };
    assert_eq!(
        text(&crate::account(&account(), passwords).unwrap()),
        "UID=5000\nGID=5001\nHOME=/mail/anna\nADDRESS=anna@x.example\nNAME=Anna Example\nMAILDIR=Maildir\n\
         QUOTA=1000S,10C\nPASSWD={SHA}xyz\nPASSWD2=secret\nOPTIONS=disableimap=1\n.\n"
    );
}

#[test]
fn a_record_leaves_out_what_is_empty_and_what_may_not_leave() {
    let bare = Account { maildir: None, quota: Limits::NONE, name: String::new(), options: String::new(), ..account() };
    assert_eq!(
        text(&crate::account(&bare, Passwords::default()).unwrap()),
        "UID=5000\nGID=5001\nHOME=/mail/anna\nADDRESS=anna@x.example\n.\n"
    );
}

#[test]
fn a_value_that_would_be_two_lines_is_never_sent() {
    let broken = Account { name: "x\nUID=0".into(), ..account() };
    assert_eq!(crate::account(&broken, Passwords::default()).map(|_| ()), Err(Unsendable::ControlCharacter("NAME")));
    let passwords = Passwords { clear: Some(b"a\rb"), ..Passwords::default() };
    assert_eq!(crate::account(&account(), passwords).map(|_| ()), Err(Unsendable::ControlCharacter("PASSWD2")));
    let broken = Account { home: "/a\tb".into(), ..account() };
    assert_eq!(list_row(&mut Vec::new(), &broken), Err(Unsendable::ControlCharacter("home")));
}

#[test]
fn a_record_that_clients_would_not_read_to_its_end_is_not_sent() {
    let long = |length| Account { options: "x".repeat(length), ..account() };
    let fits = crate::account(&long(8000), Passwords::default()).unwrap();
    assert!(fits.len() <= MAX_REPLY);
    assert_eq!(crate::account(&long(8192), Passwords::default()).map(|_| ()), Err(Unsendable::TooLong));
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
    let written = crate::account(&account(), passwords).unwrap();
    let Reply::Record(record) = Reply::read(&written, false) else { panic!("no record") };
    assert_eq!(record.account().unwrap(), Account { name: "Anna Example".into(), ..account() });
}

#[test]
fn a_client_tells_the_three_answers_apart() {
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
fn of_two_lines_with_a_name_the_last_holds_and_unknown_ones_are_skipped() {
    let reply = b"UID=1\nGID=2\nHOME=/h\nADDRESS=anna\nFOO=bar\nUIDX=7\nUID=3\nnonsense\n.\n";
    let Reply::Record(record) = Reply::read(reply, true) else { panic!("no record") };
    assert_eq!(record.account().unwrap().uid, 3);
}

#[test]
fn a_record_without_what_it_takes_is_no_account() {
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

#[test]
fn a_server_reads_what_a_client_writes() {
    let written = |request: Result<Secret, Uncomposable>| read(request.unwrap().expose());
    assert_eq!(written(pre(b"imap", b"anna")), "look up anna for imap");
    assert_eq!(written(auth_login(b"imap", b"anna", b" secret\r")), "log in anna with  secret\\r for imap");
    let response = CramResponse::parse(b"PDE+", b"YW5uYSBiIDBm").unwrap();
    let cram = auth_cram(b"imap", CramMechanism::Sha256, &response);
    assert_eq!(written(cram), "cram-sha256 anna b answers \\x0f to <1> for imap");
    let fields = PasswdFields { service: b"imap", login: b"anna", old: b"old", new: b"new" };
    assert_eq!(written(passwd(fields)), "change anna from old to new for imap");
    let with = |client| read(with_client(client, pre(b"imap", b"anna").unwrap()).expose());
    assert_eq!(with(Some("::1")), "look up anna for imap, at ::1");
    assert_eq!(with(Some("::1\nPRE . imap root")), "look up anna for imap");
}

#[test]
fn a_value_that_would_be_two_is_not_written() {
    assert_eq!(pre(b"imap", b"anna\nb").map(|_| ()), Err(Uncomposable("login")));
    assert_eq!(pre(b"imap", b" anna").map(|_| ()), Err(Uncomposable("login")));
    assert_eq!(pre(b"im ap", b"anna").map(|_| ()), Err(Uncomposable("service")));
    assert_eq!(auth_login(b"imap", b"anna", b"a\nb").map(|_| ()), Err(Uncomposable("password")));
    assert_eq!(auth_login(b"imap", b"anna", b"").map(|_| ()), Err(Uncomposable("password")));
    assert_eq!(auth_login(b"imap", b"anna", &[b'x'; 8192]).map(|_| ()), Err(Uncomposable("request")));
    let fields = PasswdFields { service: b"imap", login: b"anna", old: b"old", new: b"n\tew" };
    assert_eq!(passwd(fields).map(|_| ()), Err(Uncomposable("new password")));
}

fn questions(about: &[u8]) -> [Question; 6] {
    [
        Question::Domain(about.to_vec()),
        Question::Account(about.to_vec()),
        Question::Alias(about.to_vec()),
        Question::Recipient { address: about.to_vec(), size: 0 },
        Question::Recipient { address: about.to_vec(), size: u64::MAX },
        Question::Sender { login: b"anna@x.example".to_vec(), address: about.to_vec() },
    ]
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
fn a_question_about_what_is_no_address_is_not_written() {
    for about in [b"".as_slice(), b"anna\n", b"anna\nASK domain x", b"a\0b", b"a\tb", b"a\x7fb", &[b'x'; MAX_LINE]] {
        // Mail without a sender is a question too.
        for question in questions(about).into_iter().take(if about.is_empty() { 5 } else { 6 }) {
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
fn what_is_said_is_one_line_that_a_client_reads() {
    assert_eq!(said("OK", ""), "OK\n");
    assert_eq!(said("LATER", "first\r\nUID=0\n.\n"), "LATER first\\r\\nUID=0\\n.\\n\n");
    assert_eq!(said("OVER", "a\u{85}b\0c\x1b[2J"), "OVER a\\u{85}b\\u{0}c\\u{1b}[2J\n");
    for text in ["x".repeat(20_000), "ü".repeat(20_000), "😀\n".repeat(5000)] {
        let line = said("LATER", &text);
        assert!((8000..=MAX_REPLY).contains(&line.len()), "{} bytes", line.len());
        assert!(matches!(Reply::read(line.as_bytes(), false), Reply::Later(_)));
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
fn mail_that_is_switched_off_is_its_own_answer() {
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
fn quotes_and_backslashes_in_an_account_do_not_end_its_values() {
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
fn an_account_that_would_break_the_line_has_no_text() {
    let refused = |account: Account| text_of(&account).unwrap_err();
    assert_eq!(refused(Account { name: "x\ny".into(), ..account() }), Unsendable::ControlCharacter("name"));
    assert_eq!(refused(Account { options: "a\u{85}b".into(), ..account() }), Unsendable::ControlCharacter("options"));
    assert_eq!(refused(Account { home: "/a\0".into(), ..account() }), Unsendable::ControlCharacter("home"));
    assert_eq!(refused(Account { maildir: Some("a\tb".into()), ..account() }), Unsendable::ControlCharacter("maildir"));
    let long = |length| Account { options: "x".repeat(length), ..account() };
    let whole = said("OK", &text_of(&long(7900)).unwrap());
    assert!(whole.ends_with("x\"\n") && whole.len() <= MAX_REPLY);
    assert_eq!(refused(long(8191)), Unsendable::TooLong);
}

#[test]
fn the_text_of_an_alias_is_a_list() {
    let list = |targets: &[&str]| alias_text(&targets.iter().map(|target| (*target).to_owned()).collect::<Vec<_>>());
    assert_eq!(list(&["anna@x.example"]).unwrap(), "anna@x.example");
    assert_eq!(list(&["anna@x.example", "b@else.example"]).unwrap(), "anna@x.example, b@else.example");
    assert_eq!(list(&["anna@x.example"; 1000]), Err(Unsendable::TooLong), "and is not cut");
}

/// Bytes that are often nearly a request.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"PRE . imap anna".to_vec()),
        Just(b"AUTH 22".to_vec()),
        Just(b"AUTH 8191".to_vec()),
        Just(b"imap\nlogin\nanna\nsecret".to_vec()),
        Just(b"imap\ncram-md5\nPDE+\nYSBi".to_vec()),
        Just(b"PASSWD imap\tanna\told\tnew".to_vec()),
        Just(b"ENUMERATE".to_vec()),
        Just(b"ASK domain x.example".to_vec()),
        Just(b"FORGET anna".to_vec()),
        Just(b"STATUS".to_vec()),
        Just(b"ASK recipient 1000 anna".to_vec()),
        Just(b"TCPREMOTEIP=::1".to_vec()),
        Just(vec![b'x'; 4000]),
        Just(vec![]),
        vec(any::<u8>(), 0..40),
    ];
    vec((word, prop_oneof![9 => Just(b"\n".to_vec()), 1 => Just(b"".to_vec())]), 0..8)
        .prop_map(|parts| parts.into_iter().flat_map(|(word, end)| [word, end].concat()).collect())
}

proptest! {
    #[test]
    fn the_pieces_in_which_a_request_comes_change_nothing(input in input(), cuts in vec(0..9000usize, 0..20)) {
        let whole = result(parse(&input, false));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.sort_unstable();
        for cut in cuts {
            let part = result(parse(&input[..cut], false));
            prop_assert!(part == "incomplete" || part == whole, "{} bytes: {} instead of {}", cut, part, whole);
        }
    }

    #[test]
    fn no_more_than_a_bounded_input_is_ever_waited_for(input in input()) {
        let padded = [input, vec![b'x'; MAX_REQUEST]].concat();
        prop_assert_ne!(result(parse(&padded[..MAX_REQUEST], false)), "incomplete");
    }

    #[test]
    fn at_its_end_every_input_is_a_request_or_malformed(input in input()) {
        prop_assert_ne!(result(parse(&input, true)), "incomplete");
    }

    #[test]
    fn any_reply_is_read_without_harm(reply in vec(any::<u8>(), 0..300), ended: bool) {
        if let Reply::Record(record) = Reply::read(&[&reply[..], b"\n.\n"].concat(), ended) {
            let _ = record.account();
        }
    }

    #[test]
    fn whatever_is_said_is_read_as_it_was_said(word in "OK|OVER|LATER", text in "\\PC{1,40}", more in ".{0,9000}") {
        // What is no plain text, such as a line separator, is sent as its escape.
        let text = printable(&text).into_owned();
        let line = said(&word, &text);
        let read = Reply::read(line.as_bytes(), false);
        let expected = match &word[..] {
            "OK" => Reply::Text(&text),
            "OVER" => Reply::Over(&text),
            _ => Reply::Later(&text),
        };
        prop_assert_eq!(read, expected);
        let line = said(&word, &(text + &more));
        prop_assert!(!matches!(Reply::read(line.as_bytes(), false), Reply::Incomplete | Reply::Unreadable(_)));
    }

    #[test]
    fn whatever_a_client_writes_is_one_request(
        service in vec(any::<u8>(), 0..20),
        login in vec(any::<u8>(), 0..40),
        password in vec(any::<u8>(), 0..40),
    ) {
        if let Ok(request) = auth_login(&service, &login, &password) {
            let Parse::Complete(Request { command: Command::LogIn { service: s, login: l, password: p }, .. }) =
                parse(request.expose(), false)
            else {
                return Err(TestCaseError::fail("it is no login"));
            };
            prop_assert_eq!((s, l, p.expose()), (service.clone(), login.clone(), &password[..]));
        }
        if let Ok(request) = pre(&service, &login) {
            let Parse::Complete(Request { command: Command::LookUp { service: s, login: l }, .. }) =
                parse(request.expose(), false)
            else {
                return Err(TestCaseError::fail("it is no look-up"));
            };
            prop_assert_eq!((&s, &l), (&service, &login));
        }
        for question in questions(&login) {
            let Ok(request) = question.compose() else { continue };
            let Parse::Complete(Request { command: Command::Ask(read), .. }) = parse(request.expose(), false) else {
                return Err(TestCaseError::fail("it is no question"));
            };
            prop_assert_eq!(read, question);
        }
    }
}
