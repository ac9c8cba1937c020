//! What a client sends to the sockets for Postfix, in two pieces: nothing panics, the replies do not depend on the pieces,
//! each reply is one of the protocol, and a client has at most one question at a time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_dovecot::answerer::Told;
use mailauth_dovecot::conversation::{Action, Conversation};
use mailauth_dovecot::postfix::{ANSWERED_WITHIN, PolicyConversation, SocketmapConversation};

fuzz_target!(|input: (bool, usize, &[u8])| {
    let (is_policy, cut, input) = input;
    let pieces = input.split_at(cut.min(input.len()));
    let (whole, in_pieces) = if is_policy {
        let new = || PolicyConversation::new(ANSWERED_WITHIN);
        (replies(new(), &[input]), replies(new(), &[pieces.0, pieces.1]))
    } else {
        let new = || SocketmapConversation::new(ANSWERED_WITHIN);
        (replies(new(), &[input]), replies(new(), &[pieces.0, pieces.1]))
    };
    assert_eq!(whole.1, in_pieces.1, "more input changed the result");
    assert!(in_pieces.0.starts_with(&whole.0) && (whole.1 || whole.0 == in_pieces.0));
    if is_policy {
        assert!(whole.0.split_terminator("\n\n").all(|reply| reply.starts_with("action=")));
    } else {
        are_netstrings(&whole.0);
    }
});

/// Returns what is sent, and whether the connection was closed. Every question is answered by a text at once.
fn replies(mut conversation: impl Conversation, pieces: &[&[u8]]) -> (String, bool) {
    let (mut sent, mut is_closed) = (String::new(), false);
    for piece in pieces {
        let mut actions = Vec::new();
        conversation.receive(piece, &mut actions);
        let mut asked = take(actions, &mut sent, &mut is_closed);
        while let Some(number) = asked {
            let mut actions = Vec::new();
            conversation.told(number, Some(Told::Address(Ok("maildir=\"/a\"".to_owned()))), &mut actions);
            asked = take(actions, &mut sent, &mut is_closed);
        }
    }
    (sent, is_closed)
}

fn take(actions: Vec<Action>, sent: &mut String, is_closed: &mut bool) -> Option<u64> {
    let mut asked = None;
    for action in actions {
        match action {
            Action::Send(bytes) => *sent += std::str::from_utf8(&bytes).expect("UTF-8"),
            Action::Ask(number, _) => assert!(asked.replace(number).is_none(), "two questions at once"),
            Action::Forget(_) => asked = None,
            Action::Close(_) => *is_closed = true,
            other => panic!("{other:?}"),
        }
    }
    asked
}

fn are_netstrings(mut text: &str) {
    while let Some((length, rest)) = text.split_once(':') {
        let end: usize = length.parse().expect("a length");
        assert_eq!(&rest[end..=end], ",");
        assert!(["OK ", "NOTFOUND ", "PERM ", "TEMP "].iter().any(|word| rest.starts_with(word)));
        text = &rest[end + 1..];
    }
    assert!(text.is_empty());
}
