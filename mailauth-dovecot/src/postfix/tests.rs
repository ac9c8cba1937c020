//! What Postfix sends, and what it gets.

use super::{PolicyConversation, SocketmapConversation};
use crate::answerer::{Ask, Told};
use crate::conversation::{Action, Conversation};
use mailauth_core::answer::{Answer, No, NotNow};
use mailauth_protocol::Question;
use proptest::prelude::*;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(30);

/// A client of a conversation, and what it has got.
struct Peer<C> {
    conversation: C,
    got: String,
    /// The question that is being answered.
    asked: Option<(u64, Question)>,
    closed: Option<&'static str>,
}

impl<C: Conversation> Peer<C> {
    fn of(mut conversation: C) -> Self {
        assert!(conversation.greeting().is_empty() && conversation.expiry().is_none());
        Peer { conversation, got: String::new(), asked: None, closed: None }
    }

    fn send(&mut self, input: &[u8]) {
        let mut actions = Vec::new();
        self.conversation.receive(input, &mut actions);
        self.note(actions);
    }

    fn tell(&mut self, told: Option<Told>) {
        let (number, _) = self.asked.take().expect("a question");
        let mut actions = Vec::new();
        self.conversation.told(number, told, &mut actions);
        self.note(actions);
    }

    fn answer(&mut self, answer: Answer<String>) {
        self.tell(Some(Told::Address(answer)));
    }

    fn note(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(bytes) => self.got += std::str::from_utf8(&bytes).unwrap(),
                Action::Ask(number, Ask::Address(question, until)) => {
                    assert!(until <= Instant::now() + WITHIN);
                    assert!(self.asked.replace((number, question)).is_none(), "one question at a time");
                }
                Action::Forget(number) => assert_eq!(self.asked.take().map(|(asked, _)| asked), Some(number)),
                Action::Close(why) => self.closed = Some(why),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Returns what was got since the last call.
    fn got(&mut self) -> String {
        std::mem::take(&mut self.got)
    }
}

fn socketmap() -> Peer<SocketmapConversation> {
    Peer::of(SocketmapConversation::new(WITHIN))
}

fn policy() -> Peer<PolicyConversation> {
    Peer::of(PolicyConversation::new(WITHIN))
}

fn netstring(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [text.len().to_string().as_bytes(), b":", text, b","].concat()
}

/// Returns the question of a look-up, and the reply to this answer.
fn look_up(text: &str, answer: Answer<&str>) -> (Option<Question>, String) {
    let mut peer = socketmap();
    peer.send(&netstring(text));
    let question = peer.asked.as_ref().map(|(_, question)| question.clone());
    if question.is_some() {
        peer.answer(answer.map(str::to_owned));
    }
    (question, peer.got())
}

fn not_now() -> Answer<&'static str> {
    Err(NotNow::NoDaemon("the database is away".into()).into())
}

#[test]
fn each_map_asks_its_question_and_replies_with_its_data() {
    let address = || b"anna+a@x.example".to_vec();
    let account = r#"login="anna@x.example" uid="5000" gid="5000" maildir="/mail/a \"b\"/Maildir""#;
    for (request, question, answer, reply) in [
        ("domains x.example", Question::Domain(b"x.example".to_vec()), "", "12:OK mailboxes,"),
        ("domains x.example", Question::Domain(b"x.example".to_vec()), "backup", "9:NOTFOUND ,"),
        ("relays x.example", Question::Domain(b"x.example".to_vec()), "backup", "8:OK relay,"),
        ("relays x.example", Question::Domain(b"x.example".to_vec()), "", "9:NOTFOUND ,"),
        ("mailboxes anna+a@x.example", Question::Account(address()), account, r#"23:OK /mail/a "b"/Maildir/,"#),
        ("aliases anna+a@x.example", Question::Alias(address()), "b@y.example, c@z", "19:OK b@y.example, c@z,"),
        ("senders anna+a@x.example", Question::SenderLogins(address()), "a@x, b@x", "11:OK a@x, b@x,"),
    ] {
        assert_eq!(look_up(request, Ok(answer)), (Some(question.clone()), reply.to_owned()), "{request}");
        let no = (Some(question.clone()), "9:NOTFOUND ,".to_owned());
        assert_eq!(look_up(request, Err(No::UnknownLogin.into())), no, "{request}");
        let later = (Some(question), "25:TEMP the database is away,".to_owned());
        assert_eq!(look_up(request, not_now()), later, "{request}");
    }
    // An answer that names no Maildir is no answer.
    assert!(look_up("mailboxes anna@x.example", Ok("")).1.contains(":TEMP "));
}

#[test]
fn a_key_that_can_be_in_no_map_is_answered_without_a_question() {
    let all = ["mailboxes", "aliases", "senders"].into_iter();
    let keys = ["", "anna", "x.example", "@x.example", "anna@", "@"];
    let of_addresses = all.flat_map(|map| keys.map(|key| format!("{map} {key}")));
    let of_domains =
        ["domains ", "domains anna@x.example", "relays ", "relays @x.example", "domains"].map(String::from);
    for request in of_addresses.chain(of_domains) {
        assert_eq!(look_up(&request, not_now()), (None, "9:NOTFOUND ,".to_owned()), "{request}");
    }
    for request in ["", " ", "users anna@x.example", "Domains x.example", " domains x.example", "mailboxes\tanna@x"] {
        let (question, reply) = look_up(request, not_now());
        assert!(question.is_none() && reply.contains(":PERM no such map"), "{request:?}: {reply}");
    }
}

#[test]
fn a_reason_stays_within_its_reply() {
    let (_, reply) = look_up("domains x.example", Err(NotNow::NoDaemon("a\n,9:NOTFOUND ,".into()).into()));
    assert_eq!(reply, "21:TEMP a\\n,9:NOTFOUND ,,");
}

#[test]
fn look_ups_on_one_connection_are_answered_in_order() {
    let mut peer = socketmap();
    let sent = ["aliases a@x", "nothing b", "aliases c@x", "senders d"].map(netstring).concat();
    peer.send(&sent);
    assert_eq!((peer.got(), peer.conversation.in_flight()), (String::new(), 4));
    peer.answer(Ok("b@x".into()));
    let got = peer.got();
    assert!(got.starts_with("6:OK b@x,") && got.contains(":PERM "), "{got}");
    assert_eq!(peer.conversation.in_flight(), 2);
    // An answer that does not come is not now.
    peer.tell(None);
    let got = peer.got();
    assert!(got.contains(":TEMP ") && got.ends_with("9:NOTFOUND ,"), "{got}");
    assert_eq!(peer.conversation.in_flight(), 0);
    peer.send(&netstring("aliases e@x"));
    // An answer to an earlier question is ignored.
    let mut actions = Vec::new();
    peer.conversation.told(1, Some(Told::Address(Ok("wrong@x".into()))), &mut actions);
    assert!(actions.is_empty());
    peer.answer(Ok("f@x".into()));
    assert_eq!(peer.got(), "6:OK f@x,");
}

#[test]
fn what_is_no_look_up_closes_the_connection() {
    for input in [
        "x",
        ":",
        ":,",
        "-1:",
        " 3:a b,",
        "3:a b;",
        "3:a b\n",
        "03:a b,",
        "00:,",
        "+3:a b,",
        "3 :a b,",
        "99999",
        "4097:",
        "\n",
        "GET / HTTP/1.0\r\n",
        "18446744073709551616:",
    ] {
        let mut peer = socketmap();
        peer.send(input.as_bytes());
        assert!(peer.closed.is_some() && peer.got().is_empty(), "{input:?}");
        peer.send(&netstring("aliases anna"));
        assert!(peer.got().is_empty(), "nothing is answered after {input:?}");
    }
    for input in ["", "1", "4096", "4096:", "4096:aliases a@x", "3:a b"] {
        let mut peer = socketmap();
        peer.send(input.as_bytes());
        assert!(peer.closed.is_none() && peer.got().is_empty(), "{input:?}");
    }
    let longest = format!("aliases {}@x.example", "a".repeat(4096 - 18));
    assert_eq!(longest.len(), 4096);
    assert!(matches!(look_up(&longest, not_now()).0, Some(Question::Alias(_))));
}

#[test]
fn a_client_that_asks_without_end_is_closed() {
    let mut peer = socketmap();
    while peer.closed.is_none() {
        peer.send(&netstring("domains x.example"));
        assert!(peer.conversation.in_flight() <= 300);
    }
    assert!(peer.asked.is_none(), "its question is dropped");
    assert_eq!((peer.conversation.in_flight(), peer.got()), (0, String::new()));
}

/// A request of Postfix 3.7 at RCPT.
const AT_RCPT: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n\
    client_address=192.0.2.1\nclient_name=unknown\nhelo_name=a\nsender=me@else.example\nrecipient=anna@x.example\n\
    recipient_count=0\nqueue_id=\ninstance=1.2.3\nsize=1234\nsasl_method=\nsasl_username=\nsasl_sender=\n\
    policy_context=\n\n";

/// A request of Postfix that asks about the sender.
const ABOUT_SENDER: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\nsender=info@x.example\n\
    recipient=other@else.example\nsize=0\nsasl_method=PLAIN\nsasl_username=anna@x.example\npolicy_context=sender\n\n";

/// Returns the question of a policy request, and the action by this answer.
fn decide(request: &str, answer: Answer<&str>) -> (Option<Question>, String) {
    let mut peer = policy();
    peer.send(request.as_bytes());
    let question = peer.asked.as_ref().map(|(_, question)| question.clone());
    if question.is_some() {
        peer.answer(answer.map(str::to_owned));
    }
    let got = peer.got();
    let action = got.strip_prefix("action=").and_then(|rest| rest.strip_suffix("\n\n")).expect("an action");
    (question, action.to_owned())
}

#[test]
fn a_recipient_is_taken_refused_or_put_off() {
    let question = Some(Question::Recipient { address: b"anna@x.example".to_vec(), size: 1234 });
    for (answer, action) in [
        (Ok(""), "DUNNO"),
        (Err(No::OverQuota("10 of 10".into()).into()), "552 5.2.2 the mailbox is full"),
        (Err(No::NoMail.into()), "550 5.2.1 this mailbox receives no mail"),
        (Err(No::AccountDisabled.into()), "550 5.2.1 this mailbox receives no mail"),
        (Err(No::DomainDisabled.into()), "550 5.2.1 this mailbox receives no mail"),
        (Err(No::UnknownLogin.into()), "DUNNO"),
        (Err(No::UnknownDomain.into()), "DUNNO"),
    ] {
        assert_eq!(decide(AT_RCPT, answer), (question.clone(), action.to_owned()));
    }
    let (_, later) = decide(AT_RCPT, not_now());
    assert!(later.starts_with("DEFER_IF_PERMIT 4.3.0 ") && !later.contains("database"), "{later}");
    for (size, read) in [("size=1234", 1234), ("size=", 0), ("size=x", 0), ("size=-5", 0), ("sizes=1", 0)] {
        let Some(Question::Recipient { size, .. }) = decide(&AT_RCPT.replace("size=1234", size), Ok("")).0 else {
            panic!("no question for {size}");
        };
        assert_eq!(size, read);
    }
    for recipient in ["recipient=", "recipient=postmaster", "recipients=anna@x.example"] {
        let request = AT_RCPT.replace("recipient=anna@x.example", recipient);
        assert_eq!(decide(&request, not_now()), (None, "DUNNO".to_owned()), "{recipient}");
    }
}

#[test]
fn a_login_sends_as_its_own_addresses_if_the_policy_asks() {
    let about = Question::Sender { login: b"anna@x.example".to_vec(), address: b"info@x.example".to_vec() };
    for (answer, action) in [
        (Ok(""), "DUNNO"),
        (Err(No::NotOwnAddress.into()), "553 5.7.1 this login may not send as this address"),
        (Err(No::AccountDisabled.into()), "553 5.7.1 this login may not send as this address"),
        (Err(No::UnknownLogin.into()), "553 5.7.1 this login may not send as this address"),
    ] {
        assert_eq!(decide(ABOUT_SENDER, answer), (Some(about.clone()), action.to_owned()));
    }
    assert!(decide(ABOUT_SENDER, not_now()).1.starts_with("DEFER_IF_PERMIT 4.3.0 "));
    let without_login = ABOUT_SENDER.replace("sasl_username=anna@x.example", "sasl_username=");
    assert_eq!(decide(&without_login, not_now()), (None, "DUNNO".to_owned()));
    let without_sender = ABOUT_SENDER.replace("sender=info@x.example", "sender=");
    let Some(Question::Sender { address, .. }) = decide(&without_sender, Ok("")).0 else { panic!("no question") };
    assert!(address.is_empty());
}

#[test]
fn what_is_no_policy_request_closes_the_connection() {
    let long_line = format!("request=smtpd_access_policy\nrecipient={}", "a".repeat(9000));
    let many_lines = format!("request=smtpd_access_policy\n{}", "name=value\n".repeat(7000));
    for input in [
        "\n",
        "request=other\n\n",
        "recipient=anna@x.example\n\n",
        "request=smtpd_access_policy\nrecipient\n\n",
        "=smtpd_access_policy\n",
        "GET / HTTP/1.0\r\n",
        &long_line,
        &many_lines,
    ] {
        let mut peer = policy();
        peer.send(input.as_bytes());
        assert!(peer.closed.is_some() && peer.got().is_empty() && peer.asked.is_none(), "{:.40}", input);
    }
}

#[test]
fn one_request_leaves_nothing_to_the_next() {
    let mut peer = policy();
    peer.send(ABOUT_SENDER.as_bytes());
    peer.answer(Err(No::NotOwnAddress.into()));
    assert!(peer.got().contains("553"));
    peer.send(b"request=smtpd_access_policy\n\n");
    assert_eq!((peer.got(), peer.asked.is_none()), ("action=DUNNO\n\n".to_owned(), true));
    // The bound is that of one request.
    for _ in 0..200 {
        peer.send(AT_RCPT.as_bytes());
        peer.answer(Ok(String::new()));
    }
    assert!(peer.closed.is_none());
}

/// Sends pieces, and answers each question with what it asks about.
fn in_pieces<C: Conversation>(mut peer: Peer<C>, pieces: &[&[u8]]) -> (String, bool) {
    for piece in pieces {
        peer.send(piece);
        while let Some((_, question)) = &peer.asked {
            let text = format!("{question:?}");
            peer.answer(Ok(text));
        }
    }
    (peer.got(), peer.closed.is_some())
}

fn cut(input: &[u8], at: (usize, usize)) -> [&[u8]; 3] {
    let (first, second) = (at.0.min(input.len()), at.1.min(input.len()));
    let (first, second) = (first.min(second), first.max(second));
    [&input[..first], &input[first..second], &input[second..]]
}

/// Bytes that are often a netstring, and often nearly one.
fn netstrings() -> impl Strategy<Value = Vec<u8>> {
    let keys = prop_oneof!["[a-z]{1,8} [a-z]{0,4}@?[a-z.]{0,9}", "(domains|relays|mailboxes|aliases|senders) a@?x"];
    let one = prop_oneof![
        8 => keys.prop_map(netstring),
        1 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(netstring),
        1 => "[0-9:, a]{0,6}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(one, 0..8).prop_map(|all| all.concat())
}

fn policy_requests() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => Just("request=smtpd_access_policy\n".to_owned()),
        4 => Just("\n".to_owned()),
        4 => "(recipient|sender|sasl_username|size|policy_context)=[a-z0-9@]{0,9}\n",
        1 => "[a-z=\r\n]{0,9}",
    ];
    proptest::collection::vec(line, 0..24).prop_map(|all| all.concat().into_bytes())
}

proptest! {
    #[test]
    fn look_ups_are_read_the_same_however_they_are_cut(input in netstrings(), at in any::<(u8, u8)>()) {
        let at = (usize::from(at.0), usize::from(at.1));
        let (whole, is_closed) = in_pieces(socketmap(), &[&input]);
        let (cut, is_closed_too) = in_pieces(socketmap(), &cut(&input, at));
        prop_assert_eq!(is_closed, is_closed_too);
        // What came before the fault is answered if it came alone.
        prop_assert!(cut.starts_with(&whole) && (is_closed || cut == whole));
        let mut rest = whole.as_str();
        while let Some((length, text)) = rest.split_once(':') {
            let length: usize = length.parse().unwrap();
            prop_assert_eq!(&text[length..=length], ",");
            rest = &text[length + 1..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn policy_requests_are_read_the_same_however_they_are_cut(input in policy_requests(), at in any::<(u8, u8)>()) {
        let at = (usize::from(at.0), usize::from(at.1));
        let (whole, is_closed) = in_pieces(policy(), &[&input]);
        let (cut, is_closed_too) = in_pieces(policy(), &cut(&input, at));
        prop_assert_eq!(is_closed, is_closed_too);
        prop_assert!(cut.starts_with(&whole) && (is_closed || cut == whole));
        prop_assert!(whole.is_empty() || whole.split_terminator("\n\n").all(|reply| reply.starts_with("action=")));
    }
}
