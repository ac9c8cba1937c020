//! Properties that hold for any input.

use super::{questions, result};
use crate::reply::line;
use crate::request::{auth_login, parse, pre};
use crate::{Command, MAX_REQUEST, Parse, Reply, Request};
use mailauth_core::printable::printable;
use proptest::collection::vec;
use proptest::prelude::*;

/// Generates bytes that are often nearly a request.
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
    fn the_result_does_not_depend_on_how_the_request_is_split(input in input(), cuts in vec(0..9000usize, 0..20)) {
        let whole = result(parse(&input, false));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.sort_unstable();
        for cut in cuts {
            let part = result(parse(&input[..cut], false));
            prop_assert!(part == "incomplete" || part == whole, "{} bytes: {} instead of {}", cut, part, whole);
        }
    }

    #[test]
    fn no_more_than_the_maximum_length_is_waited_for(input in input()) {
        let padded = [input, vec![b'x'; MAX_REQUEST]].concat();
        prop_assert_ne!(result(parse(&padded[..MAX_REQUEST], false)), "incomplete");
    }

    #[test]
    fn input_that_has_ended_is_a_request_or_malformed(input in input()) {
        prop_assert_ne!(result(parse(&input, true)), "incomplete");
    }

    #[test]
    fn reading_any_reply_does_not_panic(reply in vec(any::<u8>(), 0..300), ended: bool) {
        if let Reply::Record(record) = Reply::read(&[&reply[..], b"\n.\n"].concat(), ended) {
            let _ = record.account();
        }
    }

    #[test]
    fn a_reply_with_any_text_is_read_back(word in "OK|OVER|LATER", text in "\\PC{1,40}", more in ".{0,9000}") {
        // Characters such as a line separator are sent as escapes.
        let text = printable(&text).into_owned();
        let written = line(&word, &text);
        let read = Reply::read(written.as_bytes(), false);
        let expected = match &word[..] {
            "OK" => Reply::Text(&text),
            "OVER" => Reply::Over(&text),
            _ => Reply::Later(&text),
        };
        prop_assert_eq!(read, expected);
        let written = line(&word, &(text + &more));
        prop_assert!(!matches!(Reply::read(written.as_bytes(), false), Reply::Incomplete | Reply::Unreadable(_)));
    }

    #[test]
    fn a_written_request_is_read_back_as_one_request(
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
