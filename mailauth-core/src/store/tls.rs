//! Whom to believe that a database server is who it says.

mod certificate;
mod client;
mod explain;
mod files;

pub(super) use client::client_config;
pub(super) use explain::explain;

use crate::config::Secrecy;
use std::path::Path;

/// What is to be said about an established connection beside what the server says of it.
pub(super) fn trust(secrecy: Secrecy, host: &str, ca: Option<&Path>) -> String {
    let by = match ca {
        Some(path) => format!("an authority in {}", path.display()),
        None => "a public authority".to_owned(),
    };
    match secrecy {
        Secrecy::Disable => "in clear".to_owned(),
        Secrecy::Require => "the certificate was not verified".to_owned(),
        Secrecy::VerifyCa => format!("certificate by {by}, its name not verified"),
        Secrecy::VerifyFull => format!("certificate for {host} by {by}"),
    }
}

/// The sentence about a server that offers no TLS.
pub(super) const NO_TLS: &str = "the server offers no TLS, and the connection was not made in clear; switch TLS on \
                                 there (ssl_cert, ssl_key), or set [database] tls = \"disable\" if the way is safe";

/// The sentence about a host whose name no certificate can have.
pub(super) fn unnameable(host: &str) -> String {
    format!("TLS: {host} is no name that a certificate can have; write a host name or an IP address in [database] url")
}

/// The keys that certificates may have.
const KEYS: &str = "RSA with 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519";
