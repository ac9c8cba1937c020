//! The lines that are sent to clients.

use super::escape::{escape_into, is_plain};
use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD;
use mailauth_core::account::Account;
use zeroize::Zeroizing;

/// Maximum number of bytes of a login that is sent back in a refusal.
const MAX_LOGIN: usize = 254;

/// A line.
pub type Line = Zeroizing<Vec<u8>>;

/// Reason for a refusal that depends only on what the client sent, or that is "not now". No reason tells whether an
/// account exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailCode {
    /// The answer cannot be known.
    NotNow,
    /// The client wants to act for another account.
    NotItself,
    /// Something is not base64.
    NotBase64,
    /// The mechanism sends a password in clear, and the connection is not encrypted.
    NotSecured,
    /// The client answered a challenge that was not sent or has expired.
    NoSuchRequest,
}

impl FailCode {
    /// Returns the fields, in the words of 2.2 and in those of later versions.
    fn fields(self) -> &'static str {
        match self {
            FailCode::NotNow => "\ttemp\tcode=temp_fail",
            FailCode::NotItself => "\tauthz\tcode=authz_fail",
            FailCode::NotBase64 => "\tcode=invalid_base64\treason=Invalid base64 data",
            FailCode::NotSecured => "\treason=Plaintext authentication needs an encrypted connection",
            FailCode::NoSuchRequest => "\treason=Authentication request timed out",
        }
    }
}

/// Returns a challenge. Its second TAB is there even if the challenge is empty: without it, Exim 4.96 crashes.
pub fn challenge(id: u32, challenge: &[u8]) -> Line {
    line(format!("CONT\t{id}\t{}", STANDARD.encode(challenge)).into_bytes())
}

/// Returns a success. `login` is plain, see [`is_plain`].
pub fn ok(id: u32, login: &str, last_message: Option<&[u8]>) -> Line {
    let mut text = format!("OK\t{id}\tuser={login}");
    if let Some(message) = last_message {
        text.push_str("\tresp=");
        text.push_str(&STANDARD.encode(message));
    }
    line(text.into_bytes())
}

/// Returns a refusal. The login is left out if clients would read it wrongly.
pub fn fail(id: u32, login: &[u8], code: Option<FailCode>) -> Line {
    let mut text = format!("FAIL\t{id}").into_bytes();
    if !login.is_empty() && login.len() <= MAX_LOGIN && is_plain(login) {
        text.extend_from_slice(b"\tuser=");
        text.extend_from_slice(login);
    }
    text.extend_from_slice(code.map_or("", FailCode::fields).as_bytes());
    line(text)
}

/// Returns the answer to a look-up of an account, with `more` fields after those of the account.
pub fn user(id: u32, account: &Account, is_2_4: bool, more: &[(&str, &str)]) -> Line {
    let mut text = format!("USER\t{id}\t").into_bytes();
    escape_into(&mut text, account.login.as_str().as_bytes());
    let mut field = |name: &str, value: &str| {
        text.extend_from_slice(format!("\t{name}=").as_bytes());
        escape_into(&mut text, value.as_bytes());
    };
    field("uid", &account.uid.to_string());
    field("gid", &account.gid.to_string());
    field("home", &account.home);
    let maildir = account.maildir.as_ref().map(|_| account.maildir_path().to_string_lossy().into_owned());
    if is_2_4 {
        if let Some(path) = &maildir {
            field("mail_driver", "maildir");
            field("mail_path", path);
        }
        if let Some(bytes) = account.quota.bytes {
            field("quota_storage_size", &format!("{bytes}B"));
        }
        if let Some(messages) = account.quota.messages {
            field("quota_message_count", &messages.to_string());
        }
    } else {
        if let Some(path) = &maildir {
            // A colon ends the path, unless it is doubled.
            field("mail", &format!("maildir:{}", path.replace(':', "::")));
        }
        if let Some(rule) = quota_rule(account) {
            field("quota_rule", &rule);
        }
    }
    more.iter().for_each(|(name, value)| field(name, value));
    line(text)
}

fn quota_rule(account: &Account) -> Option<String> {
    let bytes = account.quota.bytes.map(|bytes| format!(":storage={bytes}B"));
    let messages = account.quota.messages.map(|messages| format!(":messages={messages}"));
    let limits: String = bytes.into_iter().chain(messages).collect();
    (!limits.is_empty()).then(|| format!("*{limits}"))
}

/// Returns the answer that there is no such account, because of which mail bounces.
pub fn not_found(id: u32) -> Line {
    line(format!("NOTFOUND\t{id}").into_bytes())
}

/// Returns a refusal of a look-up. Mail waits.
pub fn look_up_failed(id: u32, reason: &str) -> Line {
    let mut text = format!("FAIL\t{id}\treason=").into_bytes();
    escape_into(&mut text, reason.as_bytes());
    line(text)
}

/// Adds one login of a list.
pub fn listed(lines: &mut Line, id: u32, login: &str) {
    lines.extend_from_slice(format!("LIST\t{id}\t").as_bytes());
    escape_into(lines, login.as_bytes());
    lines.push(b'\n');
}

/// Adds the end of a list, which says whether it is complete.
pub fn list_ended(lines: &mut Line, id: u32, complete: bool) {
    lines.extend_from_slice(format!("DONE\t{id}\t{}\n", if complete { "" } else { "fail" }).as_bytes());
}

/// Returns the answer to CACHE-FLUSH.
pub fn flushed(id: u32, number: usize) -> Line {
    line(format!("OK\t{id}\t{number}").into_bytes())
}

fn line(mut text: Vec<u8>) -> Line {
    text.push(b'\n');
    Line::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;
    use mailauth_core::quota::Limits;

    fn text(line: &Line) -> &str {
        std::str::from_utf8(line).unwrap()
    }

    fn anna() -> Account {
        Account {
            gid: 5001,
            maildir: Some("Mail:dir".into()),
            quota: Limits { bytes: Some(1_000_000), messages: Some(1000) },
            name: "Anna".into(),
            options: "disableimap=1".into(),
            ..account("anna@example.org")
        }
    }

    #[test]
    fn each_version_gets_the_fields_that_it_knows_and_no_password() {
        assert_eq!(
            text(&user(7, &anna(), false, &[])),
            "USER\t7\tanna@example.org\tuid=5000\tgid=5001\thome=/var/mail/anna\tmail=maildir:/var/mail/anna/Mail::dir\t\
             quota_rule=*:storage=1000000B:messages=1000\n"
        );
        assert_eq!(
            text(&user(7, &anna(), true, &[("auth_mech", "PLAIN")])),
            "USER\t7\tanna@example.org\tuid=5000\tgid=5001\thome=/var/mail/anna\tmail_driver=maildir\t\
             mail_path=/var/mail/anna/Mail:dir\tquota_storage_size=1000000B\tquota_message_count=1000\tauth_mech=PLAIN\n"
        );
        let bare = Account { maildir: None, quota: Limits::NONE, ..anna() };
        for is_2_4 in [false, true] {
            let reply = user(7, &bare, is_2_4, &[]);
            assert_eq!(text(&reply), "USER\t7\tanna@example.org\tuid=5000\tgid=5001\thome=/var/mail/anna\n");
        }
    }

    #[test]
    fn a_refusal_has_the_login_only_if_no_client_can_misread_it() {
        assert_eq!(text(&fail(1, b"anna@example.org", None)), "FAIL\t1\tuser=anna@example.org\n");
        assert_eq!(text(&fail(1, b"anna", Some(FailCode::NotNow))), "FAIL\t1\tuser=anna\ttemp\tcode=temp_fail\n");
        for login in [b"".as_slice(), b"a\tb", b"a\nOK\t2\tuser=root", b"a\x01t", &[b'x'; 255]] {
            assert_eq!(text(&fail(1, login, None)), "FAIL\t1\n", "{login:?}");
        }
    }

    #[test]
    fn a_challenge_has_its_second_tab_even_if_it_is_empty() {
        assert_eq!(text(&challenge(3, b"")), "CONT\t3\t\n");
        assert_eq!(text(&challenge(3, b"Password:")), "CONT\t3\tUGFzc3dvcmQ6\n");
        assert_eq!(text(&ok(3, "anna@example.org", Some(b"v=x"))), "OK\t3\tuser=anna@example.org\tresp=dj14\n");
    }
}
