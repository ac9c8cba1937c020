//! A question of Exim, as a name and arguments with a NUL between them: nothing panics, the arguments are read unchanged, a
//! mistake is reported on one line, and the daemon reads the question back unchanged. The arguments are passed by pointers,
//! as Exim does.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_exim::Question;
use mailauth_exim::dlfunc::{Status, call};
use mailauth_protocol::request::{auth_login, parse};
use mailauth_protocol::{Command, Parse, Request};
use std::ffi::{CStr, CString, c_int, c_uchar};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0);
    let Some(Ok(name)) = parts.next().map(std::str::from_utf8) else { return };
    let arguments: Vec<&[u8]> = parts.collect();
    by_pointers(&arguments);
    let question = match Question::read(name, &arguments) {
        Ok(question) => question,
        Err(misuse) => return assert!(!misuse.to_string().contains(char::is_control), "{misuse}"),
    };
    let _ = question.kind();
    match &question {
        Question::Login { service, login, password, .. } => {
            assert_eq!([service, login, password.expose()], arguments[..3]);
            let Ok(sent) = auth_login(service, login, password.expose()) else { return };
            let Parse::Complete(Request { command: Command::LogIn { login: read, password: secret, .. }, .. }) =
                parse(sent.expose(), false)
            else {
                panic!("a sent login is not read as one");
            };
            assert!(read == *login && secret.expose() == password.expose());
        }
        Question::Domain(text) | Question::Account(text) | Question::Alias(text) | Question::Cram(text) => {
            assert_eq!(text, arguments[0]);
        }
        Question::Sender { login, address } => assert_eq!([&login[..], address], arguments[..]),
        Question::MayStore(text, _) | Question::Recipient(text, _) => assert_eq!(text, arguments[0]),
    }
});

fn by_pointers(arguments: &[&[u8]]) {
    let texts: Vec<CString> = arguments.iter().map(|text| CString::new(*text).expect("no NUL")).collect();
    let mut argv: Vec<*mut c_uchar> = texts.iter().map(|text| text.as_ptr().cast_mut().cast()).collect();
    let (mut yielded, argc) = (std::ptr::null_mut(), argv.len() as c_int);
    let seen = &arguments[..arguments.len().min(8)];
    // SAFETY: `argv` are `argc` texts, and `yielded` is where a pointer may be put.
    let code = unsafe {
        call(&raw mut yielded, argc, argv.as_mut_ptr(), |given| {
            assert_eq!(given, seen);
            (Status::Ok, given.concat().into())
        })
    };
    // SAFETY: it is a text of the object's, which lives until the next call.
    let text = unsafe { CStr::from_ptr(yielded.cast_const().cast()) };
    assert_eq!((code, text.to_bytes()), (Status::Ok as c_int, &seen.concat()[..]));
}
