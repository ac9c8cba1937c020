//! Stories of one connection: what the client sends, and what it receives.

use super::*;
use crate::mechanism::{self, MECHANISMS};
use crate::testing::account;
use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_core::Service;
use mailauth_core::answer::{No, NotNow};
use mailauth_core::authenticate::Request;
use mailauth_core::password::{HashRules, ScramKeys, Stored};
use mailauth_core::scram::ScramParameters;
use proptest::prelude::*;

const HELLO: &str = "VERSION\t1\t2\nCPID\t4711\n";

/// `anna@example.org` and `secret`.
const ANNA: &str = "AGFubmFAZXhhbXBsZS5vcmcAc2VjcmV0";
/// The same login with the password `wrong`.
const WRONG: &str = "AGFubmFAZXhhbXBsZS5vcmcAd3Jvbmc=";

/// The other side of a connection, and the program that answers its questions.
struct Peer {
    conversation: LoginConversation,
    asked: Vec<(QuestionNumber, Ask)>,
    forgotten: Vec<QuestionNumber>,
    received: String,
    later: Vec<(Instant, String)>,
    closed: Option<&'static str>,
}

fn settings() -> Settings {
    Settings::new(MECHANISMS.iter().collect()).unwrap()
}

impl Peer {
    fn new(conversation: LoginConversation) -> Self {
        let (asked, forgotten, later) = (Vec::new(), Vec::new(), Vec::new());
        Peer { conversation, asked, forgotten, received: String::new(), later, closed: None }
    }

    fn of(settings: Settings) -> Self {
        Self::new(LoginConversation::for_clients(Arc::new(settings)).unwrap())
    }

    /// A client that has introduced itself.
    fn greeted() -> Self {
        let mut peer = Self::of(settings());
        peer.send(HELLO);
        peer
    }

    fn take(&mut self, actions: Vec<Action>) -> String {
        let before = self.received.len();
        for action in actions {
            match action {
                Action::Send(bytes) => self.received.push_str(std::str::from_utf8(&bytes).unwrap()),
                Action::SendAt(at, bytes) => self.later.push((at, String::from_utf8(bytes.to_vec()).unwrap())),
                Action::Ask(number, ask) | Action::AskWhenSent(number, ask) => self.asked.push((number, ask)),
                Action::Forget(number) => self.forgotten.push(number),
                Action::Close(why) => self.closed = Some(why),
                Action::CloseWhenAnswered => self.closed = Some("when answered"),
            }
        }
        self.received[before..].to_owned()
    }

    /// Sends bytes, and returns what comes at once.
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

    fn expire(&mut self, now: Instant) -> String {
        let mut actions = Vec::new();
        self.conversation.expire(now, &mut actions);
        self.take(actions)
    }

    /// Answers the oldest question: yes to the password `secret`.
    fn decide(&mut self) -> String {
        let (number, ask) = self.asked.remove(0);
        let right =
            matches!(request(&ask), Request { credential: Credential::Password(sent), .. } if sent.matches(b"secret"));
        self.tell(number, Some(if right { yes() } else { no(Instant::now()) }))
    }
}

fn request(ask: &Ask) -> &Request {
    match ask {
        Ask::Account(request) => request,
        other => panic!("{other:?}"),
    }
}

fn yes() -> Told {
    Told::Account { answer: Ok(Box::new(account("anna@example.org"))), refuse_at: Instant::now() }
}

fn no(refuse_at: Instant) -> Told {
    Told::Account { answer: Err(No::WrongPassword.into()), refuse_at }
}

fn not_now() -> Option<Told> {
    Some(Told::Account { answer: Err(NotNow::Busy.into()), refuse_at: Instant::now() })
}

#[test]
fn the_greeting_has_mechanisms_before_the_process_id_and_a_cookie_of_its_own() {
    let greeting = |peer: &mut Peer| String::from_utf8(peer.conversation.greeting()).unwrap();
    let shared = Arc::new(settings());
    let new = || Peer::new(LoginConversation::for_clients(Arc::clone(&shared)).unwrap());
    let (first, second) = (greeting(&mut new()), greeting(&mut new()));
    let words: Vec<_> = first.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(words.first(), Some(&"VERSION"));
    assert!(words.ends_with(&["MECH", "SPID", "CUID", "COOKIE", "DONE"]), "{words:?}");
    let line = |text: &str, word: &str| text.lines().find(|line| line.starts_with(word)).unwrap().to_owned();
    assert_eq!(line(&first, "SPID"), line(&second, "SPID"));
    assert_ne!(line(&first, "CUID"), line(&second, "CUID"));
    assert_ne!(line(&first, "COOKIE"), line(&second, "COOKIE"));
    assert_eq!(line(&first, "COOKIE").len(), "COOKIE\t".len() + 32);
}

#[test]
fn a_login_of_postfix_is_asked_and_answered_in_the_spelling_of_the_table() {
    let mut peer = Peer::of(settings());
    let sent = format!(
        "VERSION\t1\t0\nCPID\t5000\nAUTH\t1\tplain\tservice=smtp\tnologin\tlip=192.0.2.25\trip=192.0.2.1\tsecured\tresp={ANNA}\n"
    );
    assert_eq!(peer.send(&sent), "");
    let asked = request(&peer.asked[0].1);
    assert_eq!((asked.service.clone(), asked.login.as_slice()), (Service::Smtp, b"anna@example.org".as_slice()));
    assert_eq!(asked.client.as_deref(), Some("192.0.2.1"));
    assert!(asked.deadline <= Instant::now() + Duration::from_secs(4));
    assert_eq!(peer.conversation.in_flight(), 1);
    assert_eq!(peer.decide(), "OK\t1\tuser=anna@example.org\n");
    assert_eq!(peer.conversation.in_flight(), 0);
}

#[test]
fn an_initial_response_may_be_absent_empty_or_no_base64() {
    let reply = |minor: u32, resp: &str| {
        let mut peer = Peer::of(settings());
        peer.send(&format!("VERSION\t1\t{minor}\nCPID\t7\nAUTH\t1\tPLAIN\tservice=smtp{resp}\n"))
    };
    for minor in [0, 1, 2] {
        assert_eq!(reply(minor, ""), "CONT\t1\t\n");
        assert_eq!(reply(minor, "\tresp=="), "FAIL\t1\n");
        assert_eq!(reply(minor, "\tresp=!!!"), "FAIL\t1\tcode=invalid_base64\treason=Invalid base64 data\n");
    }
    assert_eq!(reply(1, "\tresp="), "CONT\t1\t\n");
    assert_eq!(reply(2, "\tresp="), "FAIL\t1\n");
}

#[test]
fn login_asks_for_the_login_and_the_password() {
    let mut peer = Peer::greeted();
    assert_eq!(peer.send("AUTH\t1\tLOGIN\tservice=smtp\n"), "CONT\t1\tVXNlcm5hbWU6\n");
    assert_eq!(peer.send("CONT\t1\tYW5uYUBleGFtcGxlLm9yZw==\n"), "CONT\t1\tUGFzc3dvcmQ6\n");
    assert_eq!(peer.send("CONT\t1\tc2VjcmV0\n"), "");
    assert_eq!(peer.decide(), "OK\t1\tuser=anna@example.org\n");
    assert_eq!(peer.send("AUTH\t1\tLOGIN\tservice=smtp\tresp=YW5uYUBleGFtcGxlLm9yZw==\n"), "CONT\t1\tUGFzc3dvcmQ6\n");
    assert_eq!(peer.send("CONT\t1\t!!\n"), "FAIL\t1\tcode=invalid_base64\treason=Invalid base64 data\n");
    let gone = "FAIL\t1\treason=Authentication request timed out\n";
    assert_eq!(peer.send("CONT\t1\tc2VjcmV0\n"), gone);
    assert!(peer.asked.is_empty());
}

#[test]
fn requests_are_answered_as_they_finish_and_a_refusal_waits_for_its_time() {
    let mut peer = Peer::greeted();
    let auth = |id: u32, resp: &str| format!("AUTH\t{id}\tPLAIN\tservice=smtp\tresp={resp}\n");
    peer.send(&(auth(1, WRONG) + &auth(2, ANNA)));
    let due = Instant::now() + Duration::from_secs(2);
    let (first, second) = (peer.asked[0].0, peer.asked[1].0);
    assert_eq!(peer.tell(first, Some(no(due))), "");
    assert_eq!(peer.tell(second, Some(yes())), "OK\t2\tuser=anna@example.org\n");
    assert_eq!((peer.conversation.in_flight(), peer.conversation.expiry()), (1, Some(due)));
    assert_eq!(peer.expire(due - Duration::from_millis(1)), "");
    assert_eq!(peer.expire(due), "FAIL\t1\tuser=anna@example.org\n");
    assert_eq!((peer.conversation.in_flight(), peer.conversation.expiry()), (0, None));
}

#[test]
fn the_delay_of_a_refusal_is_added_to_its_time() {
    let mut peer = Peer::greeted();
    peer.send(&format!("AUTH\t1\tPLAIN\tservice=smtp\tresp={WRONG}\n"));
    let begin = Instant::now() + Duration::from_secs(1);
    let delayed = No::Delayed(Box::new(No::WrongPassword), Duration::from_secs(3));
    let number = peer.asked[0].0;
    peer.tell(number, Some(Told::Account { answer: Err(delayed.into()), refuse_at: begin }));
    assert_eq!(peer.conversation.expiry(), Some(begin + Duration::from_secs(3)));
}

#[test]
fn all_refusals_look_the_same() {
    let refusals = [No::UnknownLogin, No::WrongPassword, No::AccountDisabled, No::ServiceNotAllowed, No::NoPassword];
    for reason in refusals {
        let mut peer = Peer::greeted();
        peer.send(&format!("AUTH\t1\tPLAIN\tservice=smtp\tresp={ANNA}\n"));
        let answer = Err(reason.into());
        assert_eq!(
            peer.tell(0, Some(Told::Account { answer, refuse_at: Instant::now() })),
            "FAIL\t1\tuser=anna@example.org\n"
        );
    }
}

#[test]
fn not_now_closes_the_connection_of_a_mail_server_after_the_other_answers() {
    let mut peer = Peer::greeted();
    let auth = |id: u32, resp: &str| format!("AUTH\t{id}\tPLAIN\tservice=smtp\tresp={resp}\n");
    peer.send(&(auth(1, ANNA) + &auth(2, ANNA) + &auth(3, WRONG) + &auth(4, WRONG) + &auth(5, ANNA)));
    peer.send("AUTH\t6\tLOGIN\tservice=smtp\n");
    let due = Instant::now() + Duration::from_secs(2);
    peer.tell(2, Some(no(due)));
    assert_eq!(peer.tell(0, not_now()), "");
    assert_eq!(peer.closed, Some("when answered"));
    let refused = |id: u32| (due, format!("FAIL\t{id}\tuser=anna@example.org\n"));
    assert_eq!(peer.later, [refused(3)]);
    // What was asked before is still answered, and nothing else.
    assert_eq!(peer.tell(1, Some(yes())), "OK\t2\tuser=anna@example.org\n");
    assert_eq!(peer.tell(3, Some(no(due))), "");
    assert_eq!(peer.later, [refused(3), refused(4)]);
    assert_eq!(peer.tell(4, None), "");
    assert_eq!(peer.send(&auth(7, ANNA)), "");
    assert_eq!((peer.asked.len(), peer.conversation.in_flight(), peer.conversation.expiry()), (5, 0, None));
}

#[test]
fn not_now_is_a_word_to_processes_of_dovecot() {
    for parameter in ["final-resp-ok", "session=JWCcbuRU0oF"] {
        for told in [not_now(), None] {
            let mut peer = Peer::greeted();
            peer.send(&format!("AUTH\t1\tPLAIN\tservice=imap\t{parameter}\tresp={ANNA}\n"));
            assert_eq!(peer.tell(0, told), "FAIL\t1\tuser=anna@example.org\ttemp\tcode=temp_fail\n");
            assert_eq!(peer.closed, None);
        }
    }
    let finished = Arc::new(FinishedLogins::default());
    let mut peer = Peer::new(LoginConversation::for_login_processes(Arc::new(settings()), finished).unwrap());
    peer.send(&format!("{HELLO}AUTH\t1\tPLAIN\tservice=imap\tresp={ANNA}\n"));
    assert_eq!(peer.tell(0, not_now()), "FAIL\t1\tuser=anna@example.org\ttemp\tcode=temp_fail\n");
}

#[test]
fn a_second_answer_to_one_challenge_does_not_count_nor_does_the_first() {
    let mut peer = Peer::greeted();
    peer.send("AUTH\t1\tLOGIN\tservice=smtp\tresp=YW5uYQ==\n");
    assert_eq!(peer.send("CONT\t1\td3Jvbmc=\nCONT\t1\tc2VjcmV0\n"), "FAIL\t1\n");
    assert_eq!((peer.asked.len(), peer.forgotten.as_slice()), (1, [0].as_slice()));
    assert_eq!(peer.tell(0, Some(yes())), "", "the answer is not wanted any more");
    // The same while a refusal is held: it is sent once.
    peer.send(&format!("AUTH\t2\tPLAIN\tservice=smtp\tresp={WRONG}\n"));
    let due = Instant::now() + Duration::from_secs(2);
    peer.tell(1, Some(no(due)));
    assert_eq!(peer.send("CONT\t2\tc2VjcmV0\n"), "");
    assert_eq!(peer.expire(due), "FAIL\t2\tuser=anna@example.org\n");
}

#[test]
fn a_cancelled_request_is_not_answered_and_its_id_is_free() {
    let mut peer = Peer::greeted();
    let auth = format!("AUTH\t1\tPLAIN\tservice=smtp\tresp={ANNA}\n");
    // While it waits for the client, while it is decided, while its refusal is held.
    peer.send("AUTH\t1\tLOGIN\tservice=smtp\n");
    assert_eq!(peer.send("CANCEL\t1\n"), "");
    peer.send(&auth);
    assert_eq!(peer.send("CANCEL\t1\n"), "");
    assert_eq!(peer.forgotten, [0]);
    assert_eq!(peer.tell(0, Some(yes())), "");
    peer.send(&auth);
    let due = Instant::now() + Duration::from_secs(2);
    peer.tell(1, Some(no(due)));
    assert_eq!(peer.send("CANCEL\t1\nCANCEL\t5\n"), "");
    assert_eq!(peer.expire(due), "");
    assert_eq!((peer.conversation.in_flight(), peer.conversation.expiry()), (0, None));
    peer.send(&auth);
    assert_eq!(peer.tell(2, Some(yes())), "OK\t1\tuser=anna@example.org\n");
    assert_eq!(peer.closed, None);
}

#[test]
fn lines_that_are_not_expected_close_the_connection() {
    let auth = format!("AUTH\t1\tPLAIN\tservice=smtp\tresp={ANNA}\n");
    for lines in ["CPID\t7\n", "VERSION\t2\t0\n", "VERSION\t1\t1\nFOO\t1\n", "\n", "GET / HTTP/1.0\r\n", "CONT\t1\t\n"]
    {
        let mut peer = Peer::of(settings());
        peer.send(lines);
        assert!(peer.closed.is_some(), "{lines:?}");
        assert_eq!(peer.send(&format!("{HELLO}{auth}")), "");
        assert!(peer.asked.is_empty());
    }
    for lines in
        ["CPID\t7\n", "VERSION\t1\t2\n", "\t\n", "auth\t1\tPLAIN\tservice=smtp\n", "CONT\t1\n", &auth.repeat(2)]
    {
        let mut peer = Peer::greeted();
        peer.send(lines);
        assert!(peer.closed.is_some_and(|why| why != "when answered"), "{lines:?}");
    }
    let mut peer = Peer::greeted();
    peer.send(&format!("AUTH\t1\tPLAIN\tservice=smtp\tfoo={}", "x".repeat(20_000)));
    assert!(peer.closed.is_some());
}

#[test]
fn an_unannounced_mechanism_and_one_without_encryption_are_refused() {
    let plain = vec![mechanism::by_name("PLAIN").unwrap(), mechanism::by_name("cram-md5").unwrap()];
    let settings = Settings { require_secured: true, ..Settings::new(plain).unwrap() };
    let mut peer = Peer::of(settings);
    peer.send(HELLO);
    for name in ["LOGIN", "EXTERNAL", ""] {
        assert_eq!(peer.send(&format!("AUTH\t1\t{name}\tservice=smtp\tsecured\n")), "FAIL\t1\n", "{name}");
    }
    let refused = "FAIL\t1\treason=Plaintext authentication needs an encrypted connection\n";
    assert_eq!(peer.send(&format!("AUTH\t1\tPLAIN\tservice=smtp\tresp={ANNA}\n")), refused);
    assert!(peer.asked.is_empty());
    assert_eq!(peer.send("AUTH\t1\tPLAIN\tservice=smtp\tsecured=tls\n"), "CONT\t1\t\n");
    assert!(peer.send("AUTH\t2\tCRAM-MD5\tservice=smtp\n").starts_with("CONT\t2\tP"));
}

#[test]
fn an_answer_to_cram_md5_is_asked_with_its_challenge() {
    let mut peer = Peer::greeted();
    // An initial response is not part of the mechanism.
    let reply = peer.send("AUTH\t1\tCRAM-MD5\tservice=smtp\tresp=YW5uYSAwMA==\n");
    let challenge = parse_base64(reply.trim_end().strip_prefix("CONT\t1\t").unwrap().as_bytes()).unwrap();
    assert_eq!(peer.send("CONT\t1\tdHdvIHdvcmRzIDAwZmY=\n"), "");
    let Credential::Cram(_, response) = &request(&peer.asked[0].1).credential else { panic!("not a response") };
    assert_eq!((response.challenge(), response.login()), (challenge.expose(), b"two words".as_slice()));
    assert_eq!(response.digest().expose(), b"\x00\xff");
    let malformed = peer.send("AUTH\t2\tCRAM-MD5\tservice=smtp\n");
    assert_ne!(malformed[7..], reply[7..], "each challenge is another");
    assert_eq!(peer.send("CONT\t2\t\n"), "FAIL\t2\n");
}

/// Begins SCRAM-SHA-256 for `anna`, and returns the client's last message for the password.
fn begin_scram(peer: &mut Peer, parameters: &str, password: &str) -> String {
    let first = STANDARD.encode("n,,n=anna,r=abc");
    assert_eq!(peer.send(&format!("AUTH\t1\tSCRAM-SHA-256\tservice=smtp{parameters}\tresp={first}\n")), "");
    let (number, Ask::Scram(mechanism, request)) = peer.asked.remove(0) else { panic!("not asked") };
    assert_eq!(request.login, b"anna");
    let sent = ScramParameters { salt: b"salt".to_vec(), iterations: 4096 };
    let reply = peer.tell(number, Some(Told::Scram(Ok(sent))));
    let challenge = parse_base64(reply.trim_end().strip_prefix("CONT\t1\t").unwrap().as_bytes()).unwrap();
    let challenge = std::str::from_utf8(challenge.expose()).unwrap();
    let nonce = challenge.split(',').next().unwrap();
    let exchange = format!("n=anna,r=abc,{challenge},c=biws,{nonce}");
    let proof = ScramKeys::derive(mechanism, password.as_bytes(), b"salt", 4096)
        .prove(password.as_bytes(), exchange.as_bytes());
    STANDARD.encode(format!("c=biws,{nonce},p={}", STANDARD.encode(proof.expose())))
}

/// Decides the question as the core does, with the password `secret` stored in clear.
fn decide_scram(peer: &mut Peer) -> String {
    let (number, ask) = peer.asked.remove(0);
    let Credential::Scram(response) = &request(&ask).credential else { panic!("not a proof") };
    let stored = Stored::parse(b"{PLAIN}secret", &HashRules::default()).unwrap();
    let answer = if response.verify(&stored) { yes() } else { no(Instant::now()) };
    peer.tell(number, Some(answer))
}

#[test]
fn the_last_message_of_scram_is_confirmed_by_mail_servers_and_part_of_the_ok_for_dovecot() {
    let mut peer = Peer::greeted();
    let last = begin_scram(&mut peer, "", "secret");
    assert_eq!(peer.send(&format!("CONT\t1\t{last}\n")), "");
    // "v=" in base64.
    let reply = decide_scram(&mut peer);
    assert!(reply.starts_with("CONT\t1\tdj"), "{reply}");
    assert_eq!(peer.send("CONT\t1\t\n"), "OK\t1\tuser=anna@example.org\n");

    let last = begin_scram(&mut peer, "", "secret");
    peer.send(&format!("CONT\t1\t{last}\n"));
    decide_scram(&mut peer);
    assert_eq!(peer.send("CONT\t1\tAAAA\n"), "FAIL\t1\n", "the confirmation is empty");

    let last = begin_scram(&mut peer, "\tfinal-resp-ok", "secret");
    peer.send(&format!("CONT\t1\t{last}\n"));
    let reply = decide_scram(&mut peer);
    assert!(reply.starts_with("OK\t1\tuser=anna@example.org\tresp=dj"), "{reply}");
}

#[test]
fn a_wrong_proof_of_scram_is_refused_and_no_parameters_are_not_now() {
    let mut peer = Peer::greeted();
    let last = begin_scram(&mut peer, "", "guess");
    assert_eq!(peer.send(&format!("CONT\t1\t{last}\n")), "");
    assert_eq!(decide_scram(&mut peer), "FAIL\t1\tuser=anna\n");
    let first = STANDARD.encode("n,,n=anna,r=abc");
    peer.send(&format!("AUTH\t2\tSCRAM-SHA-1\tservice=smtp\tresp={first}\n"));
    let number = peer.asked[0].0;
    assert_eq!(peer.tell(number, Some(Told::Scram(Err(NotNow::Busy.into())))), "");
    assert_eq!(peer.closed, Some("when answered"));
}

#[test]
fn a_login_that_a_client_could_misread_is_never_sent_back() {
    let mut peer = Peer::greeted();
    // The login is "a", TAB, "b".
    peer.send("AUTH\t1\tPLAIN\tservice=smtp\tresp=AGEJYgBz\n");
    assert_eq!(request(&peer.asked[0].1).login, b"a\tb");
    assert_eq!(peer.tell(0, Some(no(Instant::now()))), "FAIL\t1\n");
}

#[test]
fn no_more_is_read_while_many_requests_are_in_flight() {
    let mut peer = Peer::of(Settings { max_in_flight: 3, ..settings() });
    let requests: String = (1..=10).map(|id| format!("AUTH\t{id}\tPLAIN\tservice=smtp\tresp={ANNA}\n")).collect();
    peer.send(&format!("{HELLO}{requests}"));
    assert_eq!((peer.asked.len(), peer.conversation.in_flight()), (3, 3));
    for id in 1..=10 {
        assert_eq!(peer.decide(), format!("OK\t{id}\tuser=anna@example.org\n"));
        assert_eq!(peer.conversation.in_flight(), 3.min(10 - id));
    }
}

#[test]
fn exchanges_that_wait_for_their_client_end_after_150_seconds_and_are_limited() {
    let mut peer = Peer::greeted();
    let begin = Instant::now();
    let requests: String = (1..=MAX_DIALOGS + 1).map(|id| format!("AUTH\t{id}\tLOGIN\tservice=smtp\n")).collect();
    peer.send(&requests);
    assert_eq!((peer.conversation.dialogs.len(), peer.conversation.in_flight()), (MAX_DIALOGS, 0));
    let gone = |id: u32| format!("FAIL\t{id}\treason=Authentication request timed out\n");
    assert_eq!(peer.send("CONT\t1\tYW5uYQ==\n"), gone(1));
    assert_eq!(peer.send("CONT\t2\tYW5uYQ==\n"), "CONT\t2\tUGFzc3dvcmQ6\n");
    let end = peer.conversation.expiry().unwrap();
    assert!(end >= begin + UNFINISHED && end <= Instant::now() + UNFINISHED);
    assert_eq!(peer.expire(Instant::now() + UNFINISHED), "");
    assert_eq!((peer.conversation.dialogs.len(), peer.conversation.expiry()), (0, None));
    assert_eq!(peer.send("CONT\t2\tYW5uYQ==\n"), gone(2));
}

#[test]
fn a_success_on_the_login_socket_is_kept_until_it_is_taken_or_cancelled() {
    let finished = Arc::new(FinishedLogins::default());
    let new = || LoginConversation::for_login_processes(Arc::new(settings()), Arc::clone(&finished)).unwrap();
    let mut peer = Peer::new(new());
    let cookie = peer.conversation.cookie.clone();
    let take = |id: u32| finished.take(4711, id, cookie.expose().as_bytes(), Instant::now());
    let auth = |id: u32, more: &str| format!("AUTH\t{id}\tPLAIN\tprotocol=imap{more}\tresp={ANNA}\n");
    peer.send(&format!("{HELLO}{}", auth(1, "")));
    assert!(take(1).is_none(), "it is not finished");
    assert_eq!(peer.decide(), "OK\t1\tuser=anna@example.org\n");
    let login = take(1).unwrap();
    assert_eq!((login.mechanism, login.is_2_4, login.account.password.0.is_empty()), ("PLAIN", true, true));
    for (id, more, end) in [(2, "", "CANCEL\t2\n"), (3, "", "AUTH\t3\tLOGIN\tservice=imap\n"), (4, "\tnologin", "")] {
        peer.send(&auth(id, more));
        peer.decide();
        peer.send(end);
        assert!(take(id).is_none(), "{id}");
    }
    peer.send(&auth(5, ""));
    peer.decide();
    assert!(peer.conversation.expiry().is_some());

    // The process connects again before the end of its first connection is noticed.
    let mut second = Peer::new(new());
    second.send(HELLO);
    assert!(second.closed.is_none());
    drop(peer);
    assert!(take(5).is_none());
}

proptest! {
    #[test]
    fn the_answers_are_the_same_however_the_input_is_cut(cuts in prop::collection::vec(1usize..40, 1..80)) {
        let input = format!(
            "{HELLO}AUTH\t1\tPLAIN\tservice=smtp\tresp={ANNA}\nAUTH\t2\tLOGIN\tservice=smtp\r\nCONT\t2\tYQ==\n\
             CONT\t2\tYg==\nCANCEL\t2\nAUTH\t3\tPLAIN\tservice=smtp\tresp=!\nAUTH\t4\tX\tservice=smtp\nBYE\n"
        );
        let mut whole = Peer::of(settings());
        whole.send(&input);
        let mut parts = Peer::of(settings());
        let mut rest = input.as_str();
        for cut in cuts.iter().cycle() {
            let (part, more) = rest.split_at((*cut).min(rest.len()));
            parts.send(part);
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&whole.received, &parts.received);
        prop_assert_eq!(format!("{:?}", whole.asked.len()), format!("{:?}", parts.asked.len()));
        prop_assert_eq!((whole.closed, whole.forgotten), (parts.closed, parts.forgotten));
    }

    #[test]
    fn no_bytes_make_the_conversation_panic(input: Vec<u8>, told in prop::collection::vec(any::<u8>(), 0..5)) {
        let mut peer = Peer::greeted();
        let mut actions = Vec::new();
        peer.conversation.receive(&input, &mut actions);
        for number in told {
            peer.conversation.told(number.into(), None, &mut actions);
        }
        prop_assert!(peer.conversation.in_flight() <= 1000);
    }
}
