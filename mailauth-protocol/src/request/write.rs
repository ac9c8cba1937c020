//! Writing requests, as the client does.

use crate::{MAX_BODY, MAX_LINE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailauth_core::Secret;
use mailauth_core::challenge::{CramMechanism, CramResponse};
use mailauth_core::store::Changed;

/// A value that the protocol cannot transmit. It holds the name of the field.
///
/// Nothing is quoted on this wire, so a value with a line break would be read as two. No account can have such a name,
/// and no password can be set to such a value: the answer is "no" without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} cannot be sent: it is empty, too long, or holds a character that separates fields")]
pub struct Uncomposable(pub &'static str);

/// The fields of `PASSWD`.
#[derive(Clone, Copy)]
pub struct PasswdFields<'a> {
    /// Service for which the account is looked up.
    pub service: &'a [u8],
    /// Login of the account.
    pub login: &'a [u8],
    /// Current password, in clear.
    pub old: &'a [u8],
    /// New password, in clear.
    pub new: &'a [u8],
}

/// Returns `request` with `TCPREMOTEIP` before it, if the address is known and can be sent.
pub fn with_client(client: Option<&str>, request: Secret) -> Secret {
    match client {
        Some(client) if !client.is_empty() && client.len() < 256 && !client.bytes().any(|b| b.is_ascii_control()) => {
            join(&[b"TCPREMOTEIP=", client.as_bytes(), b"\n", request.expose()])
        }
        _ => request,
    }
}

/// Returns `FORGET`: the account with this login, or any account, was changed.
///
/// # Errors
/// Fails if the login cannot be sent.
pub fn forget(login: Option<&[u8]>) -> Result<Secret, Uncomposable> {
    let Some(login) = login else { return Ok(b"FORGET\n".as_slice().into()) };
    check_value("login", login, b"\n\0")?;
    check_length(join(&[b"FORGET ", login, b"\n"]), MAX_LINE + 1)
}

/// Returns `CHANGED`, or `FORGET` for changes that daemons of every version know by that command.
///
/// # Errors
/// Fails if the login or address cannot be sent.
pub fn changed(changed: &Changed) -> Result<Secret, Uncomposable> {
    let (what, name) = match changed {
        Changed::Everything => return forget(None),
        Changed::Account(login) => return forget(Some(login.as_str().as_bytes())),
        Changed::Additions => return Ok(b"CHANGED additions\n".as_slice().into()),
        Changed::Domain(name) => (&b"CHANGED domain "[..], name.as_str()),
        Changed::Alias(address) => (&b"CHANGED alias "[..], address.as_str()),
    };
    check_value("address", name.as_bytes(), b"\n\0")?;
    check_length(join(&[what, name.as_bytes(), b"\n"]), MAX_LINE + 1)
}

/// Returns `FLUSH`, which forgets what is kept in memory of this login, address or domain, or of everything.
///
/// # Errors
/// Fails if the name cannot be sent.
pub fn flush(name: Option<&str>) -> Result<Secret, Uncomposable> {
    let Some(name) = name else { return Ok(b"FLUSH\n".as_slice().into()) };
    check_value("login", name.as_bytes(), b"\n\0")?;
    check_length(join(&[b"FLUSH ", name.as_bytes(), b"\n"]), MAX_LINE + 1)
}

/// Returns `STATUS`, which asks for the state of the server.
pub fn status() -> Secret {
    b"STATUS\n".as_slice().into()
}

/// Returns `PRE`, which looks an account up.
///
/// # Errors
/// Fails if the service or login cannot be sent.
pub fn pre(service: &[u8], login: &[u8]) -> Result<Secret, Uncomposable> {
    check_value("service", service, b" \n\0")?;
    check_value("login", login, b"\n\0")?;
    if login.first().is_some_and(u8::is_ascii_whitespace) {
        return Err(Uncomposable("login"));
    }
    check_length(join(&[b"PRE . ", service, b" ", login, b"\n"]), MAX_LINE + 1)
}

/// Returns `AUTH` with a password.
///
/// # Errors
/// Fails if a value cannot be sent.
pub fn auth_login(service: &[u8], login: &[u8], password: &[u8]) -> Result<Secret, Uncomposable> {
    check_value("login", login, b"\n\0")?;
    check_value("password", password, b"\n\0")?;
    auth(service, b"login", login, password)
}

/// Returns `AUTH` with the answer to a challenge.
///
/// # Errors
/// Fails if a value cannot be sent.
pub fn auth_cram(service: &[u8], mechanism: CramMechanism, response: &CramResponse) -> Result<Secret, Uncomposable> {
    check_value("login", response.login(), b"\n\0")?;
    let digest = Secret::new(response.digest().expose().iter().flat_map(|b| [hex(b >> 4), hex(b & 15)]).collect());
    let answer = join(&[response.login(), b" ", digest.expose()]);
    let (challenge, answer) = (STANDARD.encode(response.challenge()), STANDARD.encode(answer.expose()));
    auth(service, mechanism.name().as_bytes(), challenge.as_bytes(), answer.as_bytes())
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

/// Returns `PASSWD`, which changes a password.
///
/// # Errors
/// Fails if a value is empty or holds a control character, or if the request is too long.
pub fn passwd(fields: PasswdFields<'_>) -> Result<Secret, Uncomposable> {
    let PasswdFields { service, login, old, new } = fields;
    for (name, value) in [("service", service), ("login", login), ("old password", old), ("new password", new)] {
        if value.is_empty() || value.iter().any(|b| *b < 0x20) {
            return Err(Uncomposable(name));
        }
    }
    check_length(join(&[b"PASSWD ", service, b"\t", login, b"\t", old, b"\t", new, b"\n"]), MAX_LINE + 1)
}

fn auth(service: &[u8], authtype: &[u8], first: &[u8], second: &[u8]) -> Result<Secret, Uncomposable> {
    check_value("service", service, b"\n\0")?;
    let body = join(&[service, b"\n", authtype, b"\n", first, b"\n", second, b"\n"]);
    let body = check_length(body, MAX_BODY)?;
    let head = format!("AUTH {}\n", body.len());
    Ok(join(&[head.as_bytes(), body.expose()]))
}

fn check_value(name: &'static str, value: &[u8], separators: &[u8]) -> Result<(), Uncomposable> {
    if value.is_empty() || value.iter().any(|b| separators.contains(b)) { Err(Uncomposable(name)) } else { Ok(()) }
}

fn check_length(request: Secret, most: usize) -> Result<Secret, Uncomposable> {
    if request.len() > most { Err(Uncomposable("request")) } else { Ok(request) }
}

/// Joins `parts` in one allocation, so that growing leaves no copy of a password behind.
fn join(parts: &[&[u8]]) -> Secret {
    Secret::new(parts.concat())
}
