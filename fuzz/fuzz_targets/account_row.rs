//! A row as read from a database: nothing panics, the account made from it cannot harm a daemon, and the record that is
//! sent for it is read back unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mailauth_core::mailbox::MailboxDefaults;
use mailauth_core::{AccountRow, Login, Services};
use mailauth_protocol::reply::{Passwords, Reply, account};

type Text = Option<String>;
type Number = Option<u64>;

fuzz_target!(|input: (&str, [Text; 4], [Option<u32>; 2], [Number; 2], &str)| {
    let (login, [home, maildir, name, options], [uid, gid], [quota_bytes, quota_messages], services) = input;
    // A column's number has no more than 63 bits.
    let [quota_bytes, quota_messages] = [quota_bytes, quota_messages].map(|number| number.map(|number| number >> 1));
    let Ok(login) = Login::parse(login.as_bytes(), None) else { return };
    let _ = Services::parse(services);
    let row =
        AccountRow { home, maildir, name, options, uid, gid, quota_bytes, quota_messages, ..AccountRow::new(login) };
    let defaults = MailboxDefaults { uid: Some(5000), gid: Some(5000), ..MailboxDefaults::default() };
    let problems = defaults.problems(&row);
    let found = match defaults.resolve(row) {
        Ok(found) => found,
        Err(unusable) => {
            assert!(problems.contains(&unusable) && !unusable.to_string().contains('\n'));
            return;
        }
    };
    assert!(problems.is_empty(), "{problems:?}");
    assert!(found.uid != 0 && found.gid != 0 && found.home.starts_with('/'));
    let maildir = found.maildir.as_deref().unwrap_or_default();
    let texts = [found.home.as_str(), maildir, &found.name, &found.options];
    assert!(!texts.iter().any(|text| text.contains(char::is_control)));
    let Ok(sent) = account(&found, Passwords::default()) else { return };
    let Reply::Record(record) = Reply::read(&sent, true) else { panic!("a sent record is not read as one") };
    let read = record.account().expect("an account");
    assert_eq!((&read.login, read.uid, read.gid, &read.home), (&found.login, found.uid, found.gid, &found.home));
    assert_eq!((read.maildir, read.options), (found.maildir, found.options));
});
