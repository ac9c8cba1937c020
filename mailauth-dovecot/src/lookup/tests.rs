//! Stories of one connection: what the client sends, and what it receives.

use super::*;
use crate::LoginConversation;
use crate::mechanism::MECHANISMS;
use crate::testing;
use mailauth_core::answer::NotNow;
use mailauth_core::quota::Limits;
use proptest::prelude::*;

const COOKIE_LENGTH: usize = 32;

struct Peer {
    conversation: LookupConversation,
    asked: Vec<Ask>,
    /// Questions that are asked only once everything before them has been sent.
    paced: usize,
    closed: bool,
}

fn settings() -> Arc<Settings> {
    Arc::new(Settings::new(MECHANISMS.iter().collect()).unwrap())
}

impl Peer {
    fn new(conversation: LookupConversation) -> Self {
        Peer { conversation, asked: Vec::new(), paced: 0, closed: false }
    }

    fn userdb() -> Self {
        let mut peer = Self::new(LookupConversation::userdb(settings(), Scope::All));
        peer.send("VERSION\t1\t1\n");
        peer
    }

    fn master() -> Self {
        let mut peer = Self::new(LookupConversation::master(settings(), Scope::All, Arc::default()));
        peer.send("VERSION\t1\t1\n");
        peer
    }

    fn take(&mut self, actions: Vec<Action>) -> String {
        let mut received = String::new();
        for action in actions {
            match action {
                Action::Send(bytes) => received.push_str(std::str::from_utf8(&bytes).unwrap()),
                Action::Ask(_, ask) => self.asked.push(ask),
                Action::AskWhenSent(_, ask) => {
                    self.paced += 1;
                    self.asked.push(ask);
                }
                Action::Close(_) => self.closed = true,
                other => panic!("{other:?}"),
            }
        }
        received
    }

    fn send(&mut self, text: &str) -> String {
        let mut actions = Vec::new();
        self.conversation.receive(text.as_bytes(), &mut actions);
        self.take(actions)
    }

    fn tell(&mut self, number: QuestionNumber, told: Option<Told>) -> String {
        let mut actions = Vec::new();
        self.conversation.told(number, told, &mut actions);
        self.take(actions)
    }
}

/// Returns an account with a Maildir and a quota.
fn account(login: &str) -> Account {
    let quota = Limits { bytes: Some(1000), messages: None };
    Account { maildir: Some("Maildir".into()), quota, ..testing::account(login) }
}

fn told(answer: Answer<Box<Account>>) -> Option<Told> {
    Some(Told::Account { answer, refuse_at: Instant::now() })
}

fn yes() -> Option<Told> {
    told(Ok(Box::new(account("anna@example.org"))))
}

const USER_2_3: &str = "USER\t1\tanna@example.org\tuid=5000\tgid=5000\thome=/var/mail/anna\tmail=maildir:/var/mail/anna/Maildir\t\
                        quota_rule=*:storage=1000B\n";
const USER_2_4: &str = "USER\t1\tanna@example.org\tuid=5000\tgid=5000\thome=/var/mail/anna\tmail_driver=maildir\t\
                        mail_path=/var/mail/anna/Maildir\tquota_storage_size=1000B\n";

#[test]
fn an_account_is_found_in_the_words_of_the_version_that_asks() {
    for (minor, service, expected) in [
        (0, "service", USER_2_3),
        (1, "service", USER_2_3),
        (1, "protocol", USER_2_4),
        (3, "service", USER_2_4),
        (4, "protocol", USER_2_4),
    ] {
        let mut peer = Peer::new(LookupConversation::userdb(settings(), Scope::All));
        peer.send(&format!("VERSION\t1\t{minor}\nUSER\t1\tAnna@example.org\t{service}=lmtp\trip=192.0.2.1\n"));
        let Ask::Account(request) = &peer.asked[0] else { panic!("{:?}", peer.asked) };
        assert_eq!((&request.service, request.login.as_slice()), (&Service::Delivery, b"Anna@example.org".as_slice()));
        assert!(matches!(request.credential, Credential::Lookup));
        assert_eq!(request.client.as_deref(), Some("192.0.2.1"));
        assert_eq!(peer.tell(0, yes()), expected);
    }
}

#[test]
fn only_an_account_that_certainly_does_not_exist_is_not_found() {
    let reply = |service: &str, told| {
        let mut peer = Peer::userdb();
        peer.send(&format!("USER\t1\tanna@example.org\tservice={service}\n"));
        peer.tell(0, told)
    };
    let no = |no: No| told(Err(no.into()));
    for reason in [No::UnknownLogin, No::AccountDisabled, No::DomainDisabled, No::ServiceNotAllowed, No::NoMail] {
        assert_eq!(reply("lmtp", no(reason)), "NOTFOUND\t1\n");
    }
    for told in [None, told(Err(NotNow::Busy.into())), no(No::Unexplained)] {
        assert!(reply("lmtp", told).starts_with("FAIL\t1\treason="));
    }
    assert_eq!(reply("doveadm", no(No::NoMail)), "FAIL\t1\treason=The account receives no mail\n");
}

#[test]
fn look_ups_are_answered_as_they_finish() {
    let mut peer = Peer::userdb();
    let requests: String = (1..=50).map(|id| format!("USER\t{id}\tu{id}@example.org\tservice=lmtp\n")).collect();
    peer.send(&requests);
    assert_eq!((peer.asked.len(), peer.conversation.in_flight()), (50, 50));
    for number in (0..50).rev() {
        assert_eq!(peer.tell(number, told(Err(No::UnknownLogin.into()))), format!("NOTFOUND\t{}\n", number + 1));
    }
    assert_eq!(peer.conversation.in_flight(), 0);
}

#[test]
fn a_list_comes_in_pages_by_its_mask_and_says_if_it_is_cut_short() {
    let page = |logins: &[&str], next: bool| {
        let accounts = logins.iter().map(|login| account(login)).collect();
        Some(Told::Page(Ok((accounts, next.then(|| Cursor::behind("b"))))))
    };
    let mut peer = Peer::userdb();
    peer.send("LIST\t3\tuser=*@EXAMPLE.org\tservice=doveadm\n");
    assert!(matches!(peer.asked[0], Ask::List(None)));
    assert_eq!(peer.tell(0, page(&["anna@example.org", "ben@other.example"], true)), "LIST\t3\tanna@example.org\n");
    assert!(matches!(peer.asked[1], Ask::List(Some(_))));
    assert_eq!(peer.paced, 1);
    assert_eq!(peer.tell(1, page(&["zoe@example.org"], false)), "LIST\t3\tzoe@example.org\nDONE\t3\t\n");

    peer.send("LIST\t4\tservice=doveadm\n");
    assert_eq!(peer.tell(2, page(&["anna@example.org", "ben@other.example"], true)).lines().count(), 2);
    assert_eq!(peer.tell(3, Some(Told::Page(Err(NotNow::Busy.into())))), "DONE\t4\tfail\n");
    peer.send("LIST\t5\tservice=doveadm\n");
    assert_eq!(peer.tell(4, None), "DONE\t5\tfail\n");
    assert_eq!(peer.conversation.in_flight(), 0);
}

#[test]
fn passwords_are_not_looked_up() {
    let mut peer = Peer::userdb();
    assert_eq!(
        peer.send("PASS\t1\tanna@example.org\tservice=doveadm\n"),
        "FAIL\t1\treason=Passwords are not looked up here\n"
    );
    assert!(peer.asked.is_empty());
}

#[test]
fn a_mail_process_fetches_the_account_of_a_login_once() {
    let (settings, finished) = (settings(), Arc::new(FinishedLogins::default()));
    let mut login = LoginConversation::for_login_processes(Arc::clone(&settings), Arc::clone(&finished)).unwrap();
    let greeting = String::from_utf8(login.greeting()).unwrap();
    let cookie = greeting.lines().find_map(|line| line.strip_prefix("COOKIE\t")).unwrap().to_owned();
    let mut actions = Vec::new();
    let auth = "VERSION\t1\t2\nCPID\t4712\nAUTH\t1\tLOGIN\tservice=imap\n";
    login.receive(auth.as_bytes(), &mut actions);
    let mut mail = Peer::new(LookupConversation::master(settings, Scope::All, finished));
    mail.send("VERSION\t1\t1\n");
    let mut ask =
        |pid: u32, id: u32, cookie: &str| mail.send(&format!("REQUEST\t9\t{pid}\t{id}\t{cookie}\tsession_pid=1\n"));
    assert_eq!(ask(4712, 1, &cookie), "FAIL\t9\n", "it is not finished");
    login.receive(b"CONT\t1\tYW5uYQ==\nCONT\t1\tc2VjcmV0\n", &mut actions);
    login.told(0, yes(), &mut actions);
    for (pid, id, cookie) in
        [(4713, 1, &*cookie), (4712, 2, &*cookie), (4712, 1, &"0".repeat(COOKIE_LENGTH)), (4712, 1, "00")]
    {
        assert_eq!(ask(pid, id, cookie), "FAIL\t9\n");
    }
    let user = USER_2_3.replacen('1', "9", 1).replace('\n', "\tauth_mech=LOGIN\n");
    assert_eq!(ask(4712, 1, &cookie), user);
    assert_eq!(ask(4712, 1, &cookie), "FAIL\t9\n", "it was taken");
}

#[test]
fn a_client_with_the_scope_of_its_user_learns_about_no_other_account() {
    let ask = |scope: Scope, told: Option<Told>| {
        let mut peer = Peer::new(LookupConversation::userdb(settings(), scope));
        peer.send("VERSION\t1\t1\nUSER\t1\tanna@example.org\tservice=lmtp\n");
        peer.tell(0, told)
    };
    assert_eq!(ask(Scope::OfUser(5000), yes()), USER_2_3);
    assert_eq!(ask(Scope::OfUser(5001), yes()), format!("FAIL\t1\treason={OUT_OF_SCOPE}\n"));
    // Mail to an address without an account still bounces.
    assert_eq!(ask(Scope::OfUser(5001), told(Err(No::UnknownLogin.into()))), "NOTFOUND\t1\n");
    assert!(ask(Scope::OfUser(5001), None).starts_with("FAIL\t1\treason=Temporary"));

    let mut peer = Peer::new(LookupConversation::master(settings(), Scope::OfUser(5000), Arc::default()));
    peer.send("VERSION\t1\t1\n");
    assert_eq!(peer.send("LIST\t3\tuser=*\tservice=doveadm\n"), "DONE\t3\tfail\n");
    assert_eq!(peer.send("CACHE-FLUSH\t4\n"), format!("FAIL\t4\treason={OUT_OF_SCOPE}\n"));
    assert!(peer.asked.is_empty());
}

#[test]
fn the_cache_is_flushed_for_one_login_after_another() {
    let mut peer = Peer::master();
    let flushed = |rows| Some(Told::Flushed(Ok(Flushed { rows, passwords: 1 })));
    peer.send("CACHE-FLUSH\t5\tanna@example.org\tben@example.org\n");
    assert!(matches!(&peer.asked[0], Ask::Flush(Some(login)) if login == "anna@example.org"));
    assert_eq!(peer.tell(0, flushed(1)), "");
    assert!(matches!(&peer.asked[1], Ask::Flush(Some(login)) if login == "ben@example.org"));
    assert_eq!(peer.tell(1, flushed(0)), "OK\t5\t3\n");
    peer.send("CACHE-FLUSH\t6\n");
    assert!(matches!(peer.asked[2], Ask::Flush(None)));
    assert_eq!(peer.tell(2, Some(Told::Flushed(Err(NotNow::Busy.into())))), format!("FAIL\t6\treason={NOT_NOW}\n"));
}

#[test]
fn requests_of_other_sockets_and_malformed_lines_close_the_connection() {
    let request = format!("REQUEST\t1\t4711\t1\t{}\n", "0".repeat(COOKIE_LENGTH));
    for line in
        [&request, "CACHE-FLUSH\t1\n", "CPID\t7\n", "AUTH\t1\tPLAIN\tservice=smtp\n", "FOO\t1\n", "VERSION\t1\t1\n"]
    {
        let mut peer = Peer::userdb();
        assert_eq!(peer.send(line), "");
        assert!(peer.closed, "{line}");
        assert_eq!(peer.send("USER\t1\tanna@example.org\tservice=lmtp\n"), "");
        assert!(peer.asked.is_empty());
    }
    for lines in ["VERSION\t2\t0\n", "USER\t1\tanna@example.org\tservice=lmtp\n"] {
        let mut peer = Peer::new(LookupConversation::userdb(settings(), Scope::All));
        peer.send(lines);
        assert!(peer.closed, "{lines}");
    }
    let mut peer = Peer::userdb();
    peer.send(&format!("USER\t1\t{}", "x".repeat(20_000)));
    assert!(peer.closed);
}

proptest! {
    #[test]
    fn no_bytes_make_the_conversation_panic(input: Vec<u8>) {
        let mut peer = Peer::master();
        let mut actions = Vec::new();
        peer.conversation.receive(&input, &mut actions);
        for number in 0..10 {
            peer.conversation.told(number, None, &mut actions);
        }
        prop_assert_eq!(peer.conversation.in_flight(), 0);
    }
}
