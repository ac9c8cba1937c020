//! The bytes that a caller writes to descriptor 3: nothing panics, each field is where the checkpassword interface puts it,
//! bytes after the timestamp change nothing, and there is always a credential to try. The daemon reads what our client then
//! sends back unchanged.
//!
//!     fuzz/run

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::Service;
use mailauth_core::authenticate::Credential;
use mailauth_core::config::Pop3Config;
use mailauth_pop3::caller::{Caller, Task};
use mailauth_pop3::question::credentials;
use mailauth_pop3::record::{MAX, Malformed, Record};
use mailauth_protocol::request::{auth_login, parse};
use mailauth_protocol::{Command, Parse, Request};

fuzz_target!(|bytes: &[u8]| {
    let record = match Record::parse(bytes) {
        Ok(record) => record,
        Err(Malformed::TooLong) => return assert!(bytes.len() > MAX),
        Err(Malformed::CutOff(_)) => return assert!(bytes.iter().filter(|byte| **byte == 0).count() < 2),
    };
    assert!(bytes.len() <= MAX);
    let fields: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let timestamp = if fields.len() > 3 { fields[2] } else { b"" };
    assert_eq!((&*record.login, record.password.expose(), &*record.timestamp), (fields[0], fields[1], timestamp));
    let longer = [bytes, b"\0more"].concat();
    if fields.len() > 3 && longer.len() <= MAX {
        assert_eq!(Record::parse(&longer).expect("a record").timestamp, record.timestamp);
    }
    for service in [Service::Pop3, Service::Smtp, Service::Imap] {
        let caller = Caller { task: Task::LogIn, service, client: None };
        let tried = credentials(&record, &caller, &Pop3Config::default());
        assert!(matches!(tried.last(), Some(Credential::Password(password)) if password.expose() == fields[1]));
        let challenged = tried.len() > 1;
        assert!(!challenged || fields[1].len() == 32 && !timestamp.is_empty(), "an answer without a challenge");
    }
    send(&record);
});

fn send(record: &Record) {
    let Ok(sent) = auth_login(b"pop3", &record.login, record.password.expose()) else { return };
    let Parse::Complete(Request { command: Command::LogIn { login, password, .. }, .. }) = parse(sent.expose(), false)
    else {
        panic!("a sent login is not read as one");
    };
    assert!(login == record.login && password.expose() == record.password.expose());
}
