//! TLS to a database server: which certificates are trusted, and what to do when TLS fails.

mod certificate;
mod client;
mod explain;
mod files;

pub(super) use client::client_config;
pub(super) use explain::explain;

use crate::config::TlsMode;
use std::path::Path;

/// Describes for reports how the server of an established connection was verified.
pub(super) fn trust(tls_mode: TlsMode, host: &str, ca: Option<&Path>) -> String {
    let by = match ca {
        Some(path) => format!("a CA in {}", path.display()),
        None => "a public CA".to_owned(),
    };
    match tls_mode {
        TlsMode::Disable => "no encryption".to_owned(),
        TlsMode::Require => "certificate not verified".to_owned(),
        TlsMode::VerifyCa => format!("certificate from {by}, host name not verified"),
        TlsMode::VerifyFull => format!("certificate for {host} from {by}"),
    }
}

/// Message about a server that does not support TLS.
pub(super) const NO_TLS: &str = "the server does not offer TLS, and an unencrypted connection is not allowed; enable \
                                 TLS on the server (ssl_cert, ssl_key), or set [database] tls = \"disable\" if the \
                                 network is trusted";

/// Returns the message about a host name that no certificate can contain.
pub(super) fn unnameable(host: &str) -> String {
    format!("TLS: no certificate can contain the name {host}; write a host name or an IP address in [database] url")
}

/// Kinds of keys that certificates may have.
const KEYS: &str = "RSA with 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519";
