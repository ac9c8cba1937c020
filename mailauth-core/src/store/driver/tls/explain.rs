//! Messages that say why TLS with a server failed, and what to do about it.

use super::KEYS;
use super::certificate::Fault;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};
use std::error::Error;
use std::io;

/// Returns why TLS with `host` failed and what to do about it, if `error` is about TLS.
pub(in crate::store::driver) fn explain(error: &(dyn Error + 'static), host: &str) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(sentence(error, host));
        }
        // An `io::Error` does not return its inner error as its source, but the source of that.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// Returns the message about an error of the TLS library.
fn sentence(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            let Fault { problem, advice } = certificate_fault(problem, host);
            format!("TLS: the certificate of the server {host} {problem}; {advice}")
        }
        rustls::Error::NoCertificatesPresented => {
            format!("TLS: the server {host} has no certificate; install one on it (ssl_cert, ssl_key)")
        }
        rustls::Error::AlertReceived(alert) => alert_message(*alert, host),
        rustls::Error::PeerIncompatible(why) => match why {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => too_old(host),
            _ => nothing_in_common(host),
        },
        rustls::Error::DecryptError => format!("TLS: data from the server {host} was modified on its way"),
        rustls::Error::FailedToGetCurrentTime => "TLS: the clock of this machine cannot be read".to_owned(),
        rustls::Error::FailedToGetRandomBytes => "TLS: the system provides no random numbers".to_owned(),
        _ => format!(
            "TLS: the server {host} does not answer with valid TLS; check that [database] url has the port of the \
             database itself, and that nothing in between speaks another protocol"
        ),
    }
}

/// Returns the message about an alert that the server sent.
fn alert_message(alert: AlertDescription, host: &str) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => format!(
            "TLS: the server {host} requires a certificate of this client; set [database] tls_cert and tls_key to one \
             that it trusts"
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            let why = match alert {
                Alert::CertificateRevoked => " (it was revoked)",
                Alert::CertificateExpired => " (it has expired)",
                Alert::UnknownCA => " (its CA is not known there)",
                _ => "",
            };
            format!(
                "TLS: the server {host} does not accept the certificate of this client{why}; set [database] tls_cert \
                 and tls_key to one that it trusts"
            )
        }
        Alert::ProtocolVersion => too_old(host),
        Alert::HandshakeFailure | Alert::InsufficientSecurity => nothing_in_common(host),
        Alert::UnrecognisedName => format!(
            "TLS: the server {host} does not recognize this name; connect by a name that its certificate contains"
        ),
        _ => format!("TLS: the server {host} aborted the handshake; its log says why"),
    }
}

fn too_old(host: &str) -> String {
    format!("TLS: the server {host} supports only TLS versions before 1.2; enable TLS 1.2 or 1.3 on it")
}

fn nothing_in_common(host: &str) -> String {
    format!(
        "TLS: the server {host} and mailauth have no cipher or kind of key in common; use a certificate with a \
         supported key on the server ({KEYS}), and enable TLS 1.3 or the ECDHE ciphers of TLS 1.2"
    )
}

/// Returns what is wrong with a server's certificate, and what to do about it.
fn certificate_fault(problem: &CertificateError, host: &str) -> Fault {
    let renew = "renew it, and reload it on the server";
    match problem {
        CertificateError::Other(other) if other.0.is::<Fault>() => match other.0.downcast_ref::<Fault>() {
            Some(Fault { problem, advice }) => Fault::new(problem, advice),
            None => Fault::new("cannot be used", renew),
        },
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Fault::new(
            "is for another name",
            format!("connect by a name that it contains, or install one for {host} on the server"),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Fault::new("has expired", renew),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Fault::new("is not valid yet", "correct the clocks of both machines, or renew it")
        }
        CertificateError::UnknownIssuer => Fault::new(
            "was issued by a CA that is not trusted here",
            "set [database] tls_ca to the certificate of that CA",
        ),
        CertificateError::Revoked => Fault::new("was revoked", renew),
        CertificateError::BadEncoding => Fault::new("cannot be read", renew),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => Fault::new(
            "is not for servers, according to its extended key usage",
            "create one with extendedKeyUsage = serverAuth, or without that extension",
        ),
        CertificateError::UnhandledCriticalExtension => {
            Fault::new("has a critical extension that mailauth does not support", "create one without that extension")
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Fault::new(
            "was issued by a CA with a key that is not supported",
            format!("have it issued by a CA with a supported key ({KEYS})"),
        ),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            Fault::new("has a signature algorithm that is not accepted, or a CA above it has", "sign it with SHA-256")
        }
        CertificateError::BadSignature => Fault::new(
            "was not signed by the trusted CA of that name",
            "if the CA was created again under its old name, set [database] tls_ca to its new certificate",
        ),
        _ => Fault::new(
            "cannot be verified, because it or a CA above it violates X.509 (for example a CA that may not sign \
             certificates, or not for this name)",
            "have it issued again by a CA with CA:TRUE, and set [database] tls_ca to that CA's certificate",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(problem: CertificateError) -> String {
        let error = rustls::Error::InvalidCertificate(problem);
        // As drivers return it: inside an error of the socket.
        explain(&io::Error::other(error), "db1").unwrap()
    }

    #[test]
    fn each_problem_of_a_certificate_has_its_own_message_and_advice() {
        for (problem, said, advice) in [
            (CertificateError::NotValidForName, "is for another name", "install one for db1"),
            (CertificateError::Expired, "has expired", "renew it"),
            (CertificateError::NotValidYet, "is not valid yet", "clocks"),
            (CertificateError::UnknownIssuer, "was issued by a CA that is not trusted here", "[database] tls_ca"),
        ] {
            let text = message(problem);
            assert!(text.starts_with(&format!("TLS: the certificate of the server db1 {said}; ")), "{text}");
            assert!(text.contains(advice), "{text}");
        }
    }

    #[test]
    fn a_server_that_requires_a_client_certificate_is_reported() {
        let error = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        let text = explain(&io::Error::other(error), "db1").unwrap();
        assert!(text.contains("a certificate of this client") && text.contains("[database] tls_cert"), "{text}");
        assert_eq!(explain(&io::Error::other("away"), "db1"), None);
    }

    #[test]
    fn no_message_quotes_the_library() {
        use rustls::{InvalidMessage, OtherError, PeerMisbehaved};
        use std::sync::Arc;
        let other = || CertificateError::Other(OtherError(Arc::new(io::Error::other("CaUsedAsEndEntity"))));
        for error in [
            rustls::Error::InvalidCertificate(other()),
            rustls::Error::InvalidCertificate(CertificateError::BadSignature),
            rustls::Error::AlertReceived(AlertDescription::HandshakeFailure),
            rustls::Error::AlertReceived(AlertDescription::InternalError),
            rustls::Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            rustls::Error::PeerMisbehaved(PeerMisbehaved::BadCertChainExtensions),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
            rustls::Error::General("of(something)".into()),
        ] {
            let text = sentence(&error, "db1");
            let debug = format!("{error:?}");
            let words = debug.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 6);
            words.for_each(|word| assert!(!text.contains(word), "{word}: {text}"));
            assert!(text.starts_with("TLS: ") && text.contains("; "), "{text}");
        }
    }
}
