//! The reply of a daemon, in two pieces: nothing panics, the reader never waits for more than the longest reply, and an
//! account that is read holds nothing that could harm the daemon it is passed to.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_protocol::{MAX_REPLY, Reply};

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, input) = input;
    let whole = Reply::read(input, true);
    assert!(!matches!(whole, Reply::Incomplete), "waiting for more input after its end");
    let part = Reply::read(&input[..cut.min(input.len())], false);
    assert!(input.len() <= MAX_REPLY || matches!(whole, Reply::Unreadable(_)), "more than the longest reply is read");
    assert!(!part.to_string().contains(char::is_control));
    match whole {
        Reply::Record(record) => {
            let Ok(account) = record.account() else { return };
            let maildir = account.maildir.as_deref().unwrap_or_default();
            let texts = [account.login.as_str(), &account.home, maildir, &account.name, &account.options];
            assert!(!texts.iter().any(|text| text.contains(char::is_control)));
        }
        Reply::Text(text) => {
            assert!(!text.contains(char::is_control));
        }
        Reply::Over(text) | Reply::Later(text) => assert!(!text.contains(char::is_control)),
        _ => {}
    }
});
