//! What a client sends to the sockets of Dovecot's protocol, in two pieces: nothing panics, every request is answered, and
//! whatever is sent is lines of the protocol, so that no byte of a client ends a line or a field.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::Login;
use mailauth_core::account::{Account, Password};
use mailauth_core::answer::{Answer, No, NotNow, Refusal};
use mailauth_core::authenticate::Flushed;
use mailauth_core::quota::Limits;
use mailauth_core::scram::ScramParameters;
use mailauth_dovecot::answerer::{Ask, Told};
use mailauth_dovecot::conversation::{Action, Conversation};
use mailauth_dovecot::{FinishedLogins, LoginConversation, LookupConversation, Scope, Settings, mechanism};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// First words of the lines that a server sends.
const WORDS: [&[u8]; 12] =
    [b"VERSION", b"MECH", b"SPID", b"CUID", b"COOKIE", b"DONE", b"OK", b"FAIL", b"CONT", b"USER", b"NOTFOUND", b"LIST"];

/// Number of requests in flight at which no more is read: a few, so that input often reaches it.
const MAX_IN_FLIGHT: usize = 4;

/// What all questions of a conversation are answered.
#[derive(Clone, Copy)]
enum Outcome {
    Yes,
    No,
    NotNow,
    /// The question was dropped.
    Nothing,
}

fuzz_target!(|input: (u8, u8, u16, &[u8])| {
    let (dialect, outcome, cut, input) = input;
    let mut settings = Settings::new(mechanism::MECHANISMS.iter().collect()).expect("random numbers");
    settings.max_in_flight = MAX_IN_FLIGHT;
    let (settings, finished) = (Arc::new(settings), Arc::new(FinishedLogins::default()));
    let scope = if dialect < 128 { Scope::All } else { Scope::OfUser(5000) };
    let conversation: Box<dyn Conversation> = match dialect % 4 {
        0 => Box::new(LoginConversation::for_clients(settings).expect("random numbers")),
        1 => Box::new(LoginConversation::for_login_processes(settings, finished).expect("random numbers")),
        2 => Box::new(LookupConversation::userdb(settings, scope)),
        _ => Box::new(LookupConversation::master(settings, scope, finished)),
    };
    let outcome = [Outcome::Yes, Outcome::No, Outcome::NotNow, Outcome::Nothing][usize::from(outcome % 4)];
    let (first, second) = input.split_at(usize::from(cut).min(input.len()));
    let sent = converse(conversation, &[first, second], outcome);
    assert!(sent.ends_with(b"\n"));
    for line in sent.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let word = line.split(|byte| *byte == b'\t').next().unwrap_or_default();
        assert!(WORDS.contains(&word), "{}", line.escape_ascii());
        assert!(line.len() < 8192 && !line.contains(&0) && !line.contains(&b'\r'), "{}", line.escape_ascii());
    }
});

/// Returns everything that is sent.
fn converse(mut conversation: Box<dyn Conversation>, pieces: &[&[u8]], outcome: Outcome) -> Vec<u8> {
    let mut sent = conversation.greeting();
    let mut actions = Vec::new();
    for piece in pieces {
        conversation.receive(piece, &mut actions);
        if carry_out(&mut *conversation, &mut actions, outcome, &mut sent) {
            return sent;
        }
        assert!(conversation.in_flight() <= MAX_IN_FLIGHT);
    }
    // Refusals that are held, and exchanges that nobody ends.
    let later = Instant::now() + Duration::from_secs(1000);
    while conversation.expiry().is_some_and(|at| at <= later) {
        conversation.expire(later, &mut actions);
        if carry_out(&mut *conversation, &mut actions, outcome, &mut sent) {
            return sent;
        }
    }
    assert_eq!(conversation.in_flight(), 0, "a request is not answered");
    sent
}

/// Returns true if the connection is closed.
fn carry_out(
    conversation: &mut dyn Conversation,
    actions: &mut Vec<Action>,
    outcome: Outcome,
    sent: &mut Vec<u8>,
) -> bool {
    while !actions.is_empty() {
        for action in std::mem::take(actions) {
            match action {
                Action::Send(bytes) | Action::SendAt(_, bytes) => sent.extend_from_slice(&bytes),
                Action::Ask(number, ask) | Action::AskWhenSent(number, ask) => {
                    conversation.told(number, told(ask, outcome), actions);
                }
                Action::Forget(_) | Action::CloseWhenAnswered => {}
                Action::Close(_) => return true,
            }
        }
    }
    false
}

fn told(ask: Ask, outcome: Outcome) -> Option<Told> {
    // Long enough for the next lines to be read while it is held.
    let refuse_at = Instant::now() + Duration::from_secs(2);
    if matches!(outcome, Outcome::Nothing) {
        return None;
    }
    Some(match ask {
        Ask::Account(request) => Told::Account { answer: answer(outcome, || account(&request.login)), refuse_at },
        Ask::Scram(..) => {
            Told::Scram(answer(outcome, || Some(ScramParameters { salt: b"salt".to_vec(), iterations: 4096 })))
        }
        Ask::List(after) => {
            let accounts = || account(b"anna@example.org").into_iter().map(|account| *account).collect();
            Told::Page(answer(outcome, || after.is_none().then(|| (accounts(), None))))
        }
        Ask::Flush(_) => Told::Flushed(answer(outcome, || Some(Flushed::default()))),
        Ask::Address(..) => panic!("a question of another protocol"),
    })
}

fn answer<T>(outcome: Outcome, yes: impl FnOnce() -> Option<T>) -> Answer<T> {
    match outcome {
        Outcome::Yes => yes().ok_or(Refusal::No(No::UnknownLogin)),
        Outcome::No => Err(No::WrongPassword.into()),
        Outcome::NotNow | Outcome::Nothing => Err(NotNow::Busy.into()),
    }
}

/// Returns an account with this login, if it is one.
fn account(login: &[u8]) -> Option<Box<Account>> {
    Some(Box::new(Account {
        login: Login::parse(login, None).ok()?,
        uid: 5000,
        gid: 5000,
        home: "/var/mail/a\tb\nc".into(),
        maildir: Some("Mail:dir".into()),
        quota: Limits { bytes: Some(1000), messages: None },
        name: String::new(),
        options: String::new(),
        password: Password::default(),
    }))
}
