//! Whom to believe that a database server is who it says.

use super::OpenError;
use crate::config::{DatabaseConfig, Secrecy};
pub(super) use client::client_config;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, RootCertStore};
use std::error::Error;
use std::io;
use std::path::Path;

/// The authorities of `tls_ca`, or without it the public ones that come with the program.
pub(super) fn authorities(ca: Option<&Path>) -> Result<RootCertStore, OpenError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let wrong = |problem: String| OpenError(format!("tls_ca: {}: {problem}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("there is no certificate in it".into())) } else { Ok(roots) }
}

/// A certificate with those that vouch for it, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate of this client, where it has one.
pub(super) fn identity(config: &DatabaseConfig) -> Result<Option<Identity>, OpenError> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let wrong = |name: &str, path: &Path, problem: String| OpenError(format!("{name}: {}: {problem}", path.display()));
    let of_cert = |problem: String| wrong("tls_cert", cert, problem);
    let chain = CertificateDer::pem_file_iter(cert).map_err(|error| of_cert(error.to_string()))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| of_cert(error.to_string()))?;
    if chain.is_empty() {
        return Err(of_cert("there is no certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        wrong("tls_key", key, format!("{error}; it has to hold a private key in PEM that is not encrypted"))
    })?;
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
        Ok(_) => Ok(Some((chain, key))),
        Err(error) => Err(of_cert(format!(
            "it cannot be used with tls_key: {error}; take the key that it was made with, and a certificate of X.509 \
             version 3, which has extensions"
        ))),
    }
}

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

/// Why TLS with `host` failed, and what to do, if that is what `error` is about.
pub(super) fn explain(error: &(dyn Error + 'static), host: &str) -> Option<String> {
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
    use AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            let (problem, cure) = of_certificate(problem, host);
            format!("TLS: the certificate of the server {host} {problem}; {cure}")
        }
        rustls::Error::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied),
        ) => format!(
            "TLS: the server {host} does not accept the certificate of this client ({alert:?}); name one that it \
             trusts in [database] tls_cert and tls_key"
        ),
        error => format!("TLS: {error}"),
    }
}

/// What is wrong with a server's certificate, and what to do.
fn of_certificate(problem: &CertificateError, host: &str) -> (String, String) {
    let renew = "renew it, and let the server read it again";
    match problem {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "is for another name".to_owned(),
            format!("connect by a name that it holds, or let the server have one for {host}"),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => ("has expired".into(), renew.into()),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("is not valid yet".into(), "set the clocks of both machines right, or renew it".into())
        }
        CertificateError::UnknownIssuer => (
            "is by an authority that is not trusted here".into(),
            "name the authority's own certificate in [database] tls_ca".into(),
        ),
        CertificateError::Revoked => ("was revoked".into(), renew.into()),
        other => (format!("cannot be used: {other}"), renew.into()),
    }
}

/// The client's side of TLS.
mod client {
    use super::{OpenError, authorities, identity};
    use crate::config::{DatabaseConfig, Secrecy};
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
    use std::sync::Arc;

    /// What a connection of this secrecy demands of the server; `None` for one in clear.
    pub(in crate::store) fn client_config(
        secrecy: Secrecy,
        database: &DatabaseConfig,
    ) -> Result<Option<ClientConfig>, OpenError> {
        let wrong = |error: &dyn std::fmt::Display| OpenError(format!("TLS: {error}"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match secrecy {
            Secrecy::Disable => return Ok(None),
            Secrecy::Require => Arc::new(Anybody(provider.clone())),
            Secrecy::VerifyCa | Secrecy::VerifyFull => {
                let roots = Arc::new(authorities(database.tls_ca.as_deref())?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                    .build()
                    .map_err(|error| wrong(&error))?;
                if secrecy == Secrecy::VerifyCa { Arc::new(AnyName(verifier)) } else { verifier }
            }
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match identity(database)? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| OpenError(format!("tls_cert and tls_key: {error}")))?,
        };
        Ok(Some(config))
    }

    /// `require`: whoever answers. That the key is the certificate's tells nothing either, when anybody's will do.
    #[derive(Debug)]
    struct Anybody(Arc<CryptoProvider>);

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }

    /// `verify-ca`: a holder of a certificate by a known authority, whatever its name.
    #[derive(Debug)]
    struct AnyName(Arc<WebPkiServerVerifier>);

    impl ServerCertVerifier for AnyName {
        fn verify_server_cert(
            &self,
            certificate: &CertificateDer<'_>,
            intermediates: &[CertificateDer<'_>],
            name: &ServerName<'_>,
            ocsp: &[u8],
            now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            // The chain is verified before the name.
            match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) => Ok(ServerCertVerified::assertion()),
                verdict => verdict,
            }
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.0.verify_tls12_signature(message, certificate, signature)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.0.verify_tls13_signature(message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.supported_verify_schemes()
        }
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
        assert!(text.contains("the certificate of this client") && text.contains("[database] tls_cert"), "{text}");
        assert_eq!(explain(&io::Error::other("away"), "db1"), None);
    }
}
