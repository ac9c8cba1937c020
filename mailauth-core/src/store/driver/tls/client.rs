//! The TLS client configuration, and the verification of the server's certificate.

use super::certificate::{Facts, Fault};
use super::files::{Trusted, identity, trusted};
use crate::config::{DatabaseConfig, TlsMode};
use crate::store::OpenError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use std::sync::Arc;

/// Returns the TLS configuration for this mode; `None` for a connection in clear text.
pub(in crate::store::driver) fn client_config(
    tls_mode: TlsMode,
    database: &DatabaseConfig,
) -> Result<Option<ClientConfig>, OpenError> {
    let wrong = |error: &dyn std::fmt::Display| OpenError(format!("TLS: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match tls_mode {
        TlsMode::Disable => return Ok(None),
        TlsMode::Require => Arc::new(AcceptAny(provider.clone())),
        TlsMode::VerifyCa | TlsMode::VerifyFull => {
            let Trusted { roots, presented } = trusted(database.tls_ca.as_deref())?;
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| wrong(&error))?;
            Arc::new(Verifier { by_authority: verifier, presented, any_name: tls_mode == TlsMode::VerifyCa })
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match identity(database)? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain, key).map_err(|_| wrong(&"tls_cert cannot be used with tls_key"))?
        }
    };
    Ok(Some(config))
}

/// Signature schemes that cannot be verified but are offered all the same, so that a server with only such a key
/// presents its certificate and the error can say what is wrong with it.
const NOT_VERIFIED: [SignatureScheme; 2] = [SignatureScheme::ECDSA_NISTP521_SHA512, SignatureScheme::ED448];

/// Verifier for `require`: accepts any certificate, so the handshake signature by its key is not verified either.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
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
        [self.0.signature_verification_algorithms.supported_schemes(), NOT_VERIFIED.to_vec()].concat()
    }
}

/// Verifier for `verify-full` and `verify-ca`: accepts a certificate that a trusted CA issued or that is itself
/// trusted.
#[derive(Debug)]
struct Verifier {
    by_authority: Arc<WebPkiServerVerifier>,
    /// Certificates in `tls_ca`. They are trusted as server certificates too, so that a self-signed one works.
    presented: Vec<CertificateDer<'static>>,
    /// True for `verify-ca`: the host name is not compared.
    any_name: bool,
}

impl Verifier {
    /// Checks that a certificate from `tls_ca` is valid at this time and for this name.
    fn accept_known(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let facts = Facts::of(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        facts.validity(now)?;
        if self.any_name {
            return Ok(());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let facts = Facts::of(certificate);
        // With such a version or key the handshake signature cannot be verified, whatever else is right.
        if let Some(fault) = facts.as_ref().and_then(Facts::unusable) {
            return Err(raise(fault));
        }
        let verdict = match self.by_authority.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Ok(verified) => return Ok(verified),
            Err(_) if self.presented.iter().any(|known| known == certificate) => {
                self.accept_known(certificate, name, now)
            }
            // The chain is verified before the name, so it is valid here.
            Err(error) if self.any_name && is_about_name(&error) => Ok(()),
            Err(error) => Err(error),
        };
        match verdict {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(in_detail(error, facts.as_ref(), &name.to_str())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signature).map_err(no_key)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signature).map_err(no_key)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        [self.by_authority.supported_verify_schemes(), NOT_VERIFIED.to_vec()].concat()
    }
}

/// Wraps a fault in an error of the TLS library.
fn raise(fault: Fault) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
}

/// Returns true if the only problem is the host name.
fn is_about_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })
    )
}

/// Replaces an error by a more precise one if the certificate explains it.
fn in_detail(error: Error, facts: Option<&Facts>, host: &str) -> Error {
    let (Error::InvalidCertificate(problem), Some(facts)) = (&error, facts) else { return error };
    match problem {
        _ if is_about_name(&error) => raise(facts.misnamed(host)),
        CertificateError::UnknownIssuer | CertificateError::Other(_) if facts.is_self_signed() => {
            raise(Fault::new("is self-signed and not trusted here", "set [database] tls_ca to this certificate"))
        }
        CertificateError::Other(_) if facts.is_of_authority() => raise(Fault::new(
            "is a CA certificate (CA:TRUE), not one for a server",
            "create one with basicConstraints = CA:FALSE, or set [database] tls_ca to this certificate",
        )),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => match facts.old_signature() {
            Some(kind) => {
                raise(Fault::new(format!("is signed with {kind}, which is not accepted"), "sign it with SHA-256"))
            }
            None => error,
        },
        _ => error,
    }
}

/// Converts the error of a handshake signature, which is made by the key of an accepted certificate.
fn no_key(error: Error) -> Error {
    match error {
        Error::InvalidCertificate(_) => raise(Fault::new(
            "does not match the server's private key",
            "install the key that belongs to the certificate on the server",
        )),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::driver::tls::explain;
    use rustls::pki_types::pem::PemObject;
    use std::io;
    use std::path::PathBuf;

    fn sample(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/store/driver/tls/samples").join(name)
    }

    /// Returns the message about a server `localhost` that presents the sample `name`.
    fn message(name: &str) -> Option<String> {
        let Trusted { roots, presented } = trusted(Some(&sample("authority.pem"))).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let verifier = Verifier { by_authority, presented, any_name: false };
        let certificate = CertificateDer::from_pem_file(sample(name)).unwrap();
        let host = ServerName::try_from("localhost").unwrap();
        let verdict = verifier.verify_server_cert(&certificate, &[], &host, &[], UnixTime::now());
        verdict.err().map(|error| explain(&io::Error::other(error), "localhost").unwrap())
    }

    // Current servers do not even start with such certificates.
    #[test]
    fn certificates_of_old_servers_get_a_plain_message_with_advice() {
        for (name, said, advice) in [
            ("sha1.pem", "is signed with SHA-1, which is not accepted", "sign it with SHA-256"),
            ("rsa1024.pem", "has a key that is not supported (RSA with 1024 bits)", "RSA with 2048 bits or more"),
        ] {
            let text = message(name).unwrap();
            assert!(text.contains(said) && text.contains(advice), "{text}");
        }
    }
}
