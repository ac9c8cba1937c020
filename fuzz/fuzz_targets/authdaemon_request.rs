//! The bytes that a client sends, in two pieces: nothing panics, the result does not depend on the pieces, the parser never
//! waits for more than the longest request, and what our client writes for the result is read back unchanged.
//!
//!     cargo +nightly fuzz run authdaemon_request -- -dict=fuzz/dictionaries/authdaemon_request -max_len=40000

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_protocol::request::{auth_login, changed, flush, forget, parse, pre, status};
use mailauth_protocol::{Command, MAX_REQUEST, Parse, Reply, Request};

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, input) = input;
    let whole = parse(input, false);
    let part = parse(&input[..cut.min(input.len())], false);
    if !matches!(part, Parse::Incomplete) {
        assert_eq!(shape(&part), shape(&whole), "more input changed the result");
    }
    assert!(!matches!(parse(input, true), Parse::Incomplete), "waiting for more input after its end");
    assert!(input.len() < MAX_REQUEST || !matches!(whole, Parse::Incomplete), "waiting for more than a request");
    if let Parse::Complete(request) = &whole {
        write_again(request);
    }
    for ended in [false, true] {
        if let Reply::Record(record) = Reply::read(input, ended) {
            let _ = record.account();
        }
    }
});

/// Returns a text that differs for different results. `Debug` hides secrets, so the password is added.
fn shape(result: &Parse) -> String {
    match result {
        Parse::Complete(Request { command: Command::LogIn { password, .. }, .. }) => {
            format!("{result:?} {}", password.expose().escape_ascii())
        }
        other => format!("{other:?}"),
    }
}

fn write_again(request: &Request) {
    match &request.command {
        Command::LogIn { service, login, password } => {
            let Ok(written) = auth_login(service, login, password.expose()) else { return };
            let Parse::Complete(Request { command: Command::LogIn { service: s, login: l, password: p }, .. }) =
                parse(written.expose(), false)
            else {
                panic!("a written login is not read as one");
            };
            assert!((&s, &l, p.expose()) == (service, login, password.expose()));
        }
        Command::LookUp { service, login } => {
            let Ok(written) = pre(service, login) else { return };
            let Parse::Complete(Request { command: Command::LookUp { service: s, login: l }, .. }) =
                parse(written.expose(), false)
            else {
                panic!("a written lookup is not read as one");
            };
            assert!((&s, &l) == (service, login));
        }
        Command::Ask(question) => {
            let Ok(written) = question.compose() else { return };
            let Parse::Complete(Request { command: Command::Ask(read), .. }) = parse(written.expose(), false) else {
                panic!("a written question is not read as one");
            };
            assert!(read == *question);
        }
        Command::Forget(login) => {
            let Ok(written) = forget(login.as_deref()) else { return };
            let Parse::Complete(Request { command: Command::Forget(read), .. }) = parse(written.expose(), false) else {
                panic!("a written change is not read as one");
            };
            assert!(read == *login);
        }
        Command::Changed(told) => {
            let Ok(written) = changed(told) else { return };
            let Parse::Complete(Request { command: Command::Changed(read), .. }) = parse(written.expose(), false)
            else {
                panic!("a written change is not read as one");
            };
            assert!(read == *told);
        }
        Command::Flush(name) => {
            let Ok(written) = flush(name.as_deref()) else { return };
            let Parse::Complete(Request { command: Command::Flush(read), .. }) = parse(written.expose(), false) else {
                panic!("a written flush is not read as one");
            };
            assert!(read == *name);
        }
        Command::Status => {
            let read = parse(status().expose(), false);
            assert!(matches!(read, Parse::Complete(Request { command: Command::Status, .. })));
        }
        _ => {}
    }
}
