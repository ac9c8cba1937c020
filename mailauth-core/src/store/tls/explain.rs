//! Why TLS with a server failed, and what to do, in our own words.

use super::KEYS;
use super::certificate::Fault;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};
use std::error::Error;
use std::io;

/// Why TLS with `host` failed, and what to do, if that is what `error` is about.
pub(in crate::store) fn explain(error: &(dyn Error + 'static), host: &str) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(sentence(error, host));
        }
        // What an io::Error holds is not its source, but that one's source is.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// Which of the things that go wrong it is.
fn sentence(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            let Fault { problem, cure } = of_certificate(problem, host);
            format!("TLS: the certificate of the server {host} {problem}; {cure}")
        }
        rustls::Error::NoCertificatesPresented => {
            format!("TLS: the server {host} has no certificate; give it one (ssl_cert, ssl_key)")
        }
        rustls::Error::AlertReceived(alert) => of_alert(*alert, host),
        rustls::Error::PeerIncompatible(why) => match why {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => too_old(host),
            _ => nothing_in_common(host),
        },
        rustls::Error::DecryptError => format!("TLS: what the server {host} sent was changed on its way"),
        rustls::Error::FailedToGetCurrentTime => "TLS: this machine's clock cannot be read".to_owned(),
        rustls::Error::FailedToGetRandomBytes => "TLS: the system gives no random numbers".to_owned(),
        _ => format!(
            "TLS: the server {host} does not answer as TLS has it; see that [database] url has the database's own port, \
             with nothing in between that speaks another protocol"
        ),
    }
}

/// What a server means by an alert.
fn of_alert(alert: AlertDescription, host: &str) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => format!(
            "TLS: the server {host} wants a certificate of this client; name one that it trusts in [database] tls_cert and \
             tls_key"
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
                Alert::UnknownCA => " (its authority is not known there)",
                _ => "",
            };
            format!(
                "TLS: the server {host} does not accept the certificate of this client{why}; name one that it trusts in \
                 [database] tls_cert and tls_key"
            )
        }
        Alert::ProtocolVersion => too_old(host),
        Alert::HandshakeFailure | Alert::InsufficientSecurity => nothing_in_common(host),
        Alert::UnrecognisedName => format!(
            "TLS: the server {host} does not know itself by this name; connect by a name that its certificate holds"
        ),
        _ => format!("TLS: the server {host} broke off; its own log says why"),
    }
}

fn too_old(host: &str) -> String {
    format!("TLS: the server {host} has only versions of TLS before 1.2; let it speak TLS 1.2 or 1.3")
}

fn nothing_in_common(host: &str) -> String {
    format!(
        "TLS: the server {host} and mailauth have no cipher or kind of key in common; let the server's certificate have a \
         key of {KEYS}, and permit it TLS 1.3 or the ECDHE ciphers of TLS 1.2"
    )
}

/// What is wrong with a server's certificate, and what to do.
fn of_certificate(problem: &CertificateError, host: &str) -> Fault {
    let renew = "renew it, and let the server read it again";
    match problem {
        CertificateError::Other(other) if other.0.is::<Fault>() => match other.0.downcast_ref::<Fault>() {
            Some(Fault { problem, cure }) => Fault::new(problem, cure),
            None => Fault::new("cannot be used", renew),
        },
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Fault::new(
            "is for another name",
            format!("connect by a name that it holds, or let the server have one for {host}"),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Fault::new("has expired", renew),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Fault::new("is not valid yet", "set the clocks of both machines right, or renew it")
        }
        CertificateError::UnknownIssuer => Fault::new(
            "is by an authority that is not trusted here",
            "name the authority's own certificate in [database] tls_ca",
        ),
        CertificateError::Revoked => Fault::new("was revoked", renew),
        CertificateError::BadEncoding => Fault::new("cannot be read", renew),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => Fault::new(
            "is not for servers, by its extended key usage",
            "make one with extendedKeyUsage = serverAuth, or without that extension",
        ),
        CertificateError::UnhandledCriticalExtension => Fault::new(
            "has an extension that is marked as critical and not known to mailauth",
            "make one without that extension",
        ),
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Fault::new(
            "is by an authority whose key is not supported",
            format!("let an authority sign it that has a key of {KEYS}"),
        ),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => Fault::new(
            "has a signature of a kind that is not accepted, or one of its authorities has",
            "let it be signed with SHA-256",
        ),
        CertificateError::BadSignature => Fault::new(
            "was not signed by the authority of that name that is trusted here",
            "if the authority was made again under its old name, name its new certificate in [database] tls_ca",
        ),
        _ => Fault::new(
            "cannot be verified, because it or an authority above it breaks a rule of X.509 (an authority that may not \
             sign, or not for this name)",
            "have it made again by an authority with CA:TRUE, and name that one in [database] tls_ca",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(problem: CertificateError) -> String {
        let error = rustls::Error::InvalidCertificate(problem);
        // As drivers have it: within an error of the socket.
        explain(&io::Error::other(error), "db1").unwrap()
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_apart_with_its_cure() {
        for (problem, said, cure) in [
            (CertificateError::NotValidForName, "is for another name", "have one for db1"),
            (CertificateError::Expired, "has expired", "renew it"),
            (CertificateError::NotValidYet, "is not valid yet", "clocks"),
            (CertificateError::UnknownIssuer, "is by an authority that is not trusted here", "[database] tls_ca"),
        ] {
            let text = told(problem);
            assert!(text.starts_with(&format!("TLS: the certificate of the server db1 {said}; ")), "{text}");
            assert!(text.contains(cure), "{text}");
        }
    }

    #[test]
    fn a_server_that_wants_another_certificate_is_told_of() {
        let error = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        let text = explain(&io::Error::other(error), "db1").unwrap();
        assert!(text.contains("a certificate of this client") && text.contains("[database] tls_cert"), "{text}");
        assert_eq!(explain(&io::Error::other("away"), "db1"), None);
    }

    #[test]
    fn no_failure_is_told_in_the_words_of_a_library() {
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
