//! Writing requests, for a client.

use crate::{MAX_BODY, MAX_LINE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailauth_core::Secret;
use mailauth_core::challenge::{CramMechanism, CramResponse};
use mailauth_core::store::Changed;

/// A value that the protocol has no way to send.
///
/// Nothing is quoted on this wire, so a value with a line break would be two. No account can be named so, and no
/// password set so: the answer is "no", and need not be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} cannot be sent: it is empty, too long, or holds a character that separates fields")]
pub struct Uncomposable(pub &'static str);

/// The fields of `PASSWD`.
#[derive(Clone, Copy)]
pub struct PasswdFields<'a> {
    /// What for.
    pub service: &'a [u8],
    /// Whose account.
    pub login: &'a [u8],
    /// The password that is to be replaced.
    pub old: &'a [u8],
    /// The password to come.
    pub new: &'a [u8],
}

/// Puts `TCPREMOTEIP` before a request, where the address is known and can be sent.
pub fn with_client(client: Option<&str>, request: Secret) -> Secret {
    match client {
        Some(client) if !client.is_empty() && client.len() < 256 && !client.bytes().any(|b| b.is_ascii_control()) => {
            join(&[b"TCPREMOTEIP=", client.as_bytes(), b"\n", request.expose()])
        }
        _ => request,
    }
}

/// `FORGET`: this account, or any, was changed.
///
/// # Errors
/// When the login cannot be sent.
pub fn forget(login: Option<&[u8]>) -> Result<Secret, Uncomposable> {
    let Some(login) = login else { return Ok(b"FORGET\n".as_slice().into()) };
    sendable("login", login, b"\n\0")?;
    fitting(join(&[b"FORGET ", login, b"\n"]), MAX_LINE + 1)
}

/// `CHANGED`: an alias, a domain or much at once was changed; for the others that is `FORGET`.
///
/// # Errors
/// When the login or address cannot be sent.
pub fn changed(changed: &Changed) -> Result<Secret, Uncomposable> {
    let (what, name) = match changed {
        Changed::Everything => return forget(None),
        Changed::Account(login) => return forget(Some(login.as_str().as_bytes())),
        Changed::Additions => return Ok(b"CHANGED additions\n".as_slice().into()),
        Changed::Domain(name) => (&b"CHANGED domain "[..], name.as_str()),
        Changed::Alias(address) => (&b"CHANGED alias "[..], address.as_str()),
    };
    sendable("address", name.as_bytes(), b"\n\0")?;
    fitting(join(&[what, name.as_bytes(), b"\n"]), MAX_LINE + 1)
}

/// `STATUS`: how the server is.
pub fn status() -> Secret {
    b"STATUS\n".as_slice().into()
}

/// `PRE`: looks an account up.
///
/// # Errors
/// When service or login cannot be sent.
pub fn pre(service: &[u8], login: &[u8]) -> Result<Secret, Uncomposable> {
    sendable("service", service, b" \n\0")?;
    sendable("login", login, b"\n\0")?;
    if login.first().is_some_and(u8::is_ascii_whitespace) {
        return Err(Uncomposable("login"));
    }
    fitting(join(&[b"PRE . ", service, b" ", login, b"\n"]), MAX_LINE + 1)
}

/// `AUTH` with a password.
///
/// # Errors
/// When a value cannot be sent.
pub fn auth_login(service: &[u8], login: &[u8], password: &[u8]) -> Result<Secret, Uncomposable> {
    sendable("login", login, b"\n\0")?;
    sendable("password", password, b"\n\0")?;
    auth(service, b"login", login, password)
}

/// `AUTH` with the answer to a challenge.
///
/// # Errors
/// When a value cannot be sent.
pub fn auth_cram(service: &[u8], mechanism: CramMechanism, response: &CramResponse) -> Result<Secret, Uncomposable> {
    sendable("login", response.login(), b"\n\0")?;
    let digest = Secret::new(response.digest().expose().iter().flat_map(|b| [hex(b >> 4), hex(b & 15)]).collect());
    let answer = join(&[response.login(), b" ", digest.expose()]);
    let (challenge, answer) = (STANDARD.encode(response.challenge()), STANDARD.encode(answer.expose()));
    auth(service, mechanism.name().as_bytes(), challenge.as_bytes(), answer.as_bytes())
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

/// `PASSWD`: changes a password.
///
/// # Errors
/// When a value cannot be sent: a control character in any of them.
pub fn passwd(fields: PasswdFields<'_>) -> Result<Secret, Uncomposable> {
    let PasswdFields { service, login, old, new } = fields;
    for (name, value) in [("service", service), ("login", login), ("old password", old), ("new password", new)] {
        if value.is_empty() || value.iter().any(|b| *b < 0x20) {
            return Err(Uncomposable(name));
        }
    }
    fitting(join(&[b"PASSWD ", service, b"\t", login, b"\t", old, b"\t", new, b"\n"]), MAX_LINE + 1)
}

fn auth(service: &[u8], authtype: &[u8], first: &[u8], second: &[u8]) -> Result<Secret, Uncomposable> {
    sendable("service", service, b"\n\0")?;
    let body = join(&[service, b"\n", authtype, b"\n", first, b"\n", second, b"\n"]);
    let body = fitting(body, MAX_BODY)?;
    let head = format!("AUTH {}\n", body.len());
    Ok(join(&[head.as_bytes(), body.expose()]))
}

fn sendable(name: &'static str, value: &[u8], separators: &[u8]) -> Result<(), Uncomposable> {
    if value.is_empty() || value.iter().any(|b| separators.contains(b)) { Err(Uncomposable(name)) } else { Ok(()) }
}

fn fitting(request: Secret, most: usize) -> Result<Secret, Uncomposable> {
    if request.len() > most { Err(Uncomposable("request")) } else { Ok(request) }
}

/// Joins in one allocation, so that growing leaves no copy of a password behind.
fn join(parts: &[&[u8]]) -> Secret {
    Secret::new(parts.concat())
}
