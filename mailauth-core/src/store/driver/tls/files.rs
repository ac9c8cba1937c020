//! Reads the certificates and the key that the configuration names.

use super::KEYS;
use super::certificate::Facts;
use crate::config::DatabaseConfig;
use crate::store::OpenError;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::Path;

/// The certificates that are trusted.
pub(super) struct Trusted {
    /// Certificates of trusted CAs.
    pub(super) roots: RootCertStore,
    /// Certificates in `tls_ca`, which a server may also present as its own.
    pub(super) presented: Vec<CertificateDer<'static>>,
}

/// Reads the certificates in `tls_ca`; without it, returns the public CAs that are built into the program.
pub(super) fn trusted(ca: Option<&Path>) -> Result<Trusted, OpenError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(Trusted { roots, presented: Vec::new() });
    };
    let presented = certificates("tls_ca", path)?;
    for (index, certificate) in presented.iter().enumerate() {
        roots.add(certificate.clone()).map_err(|_| {
            let which = index + 1;
            wrong("tls_ca", path, format!("certificate no. {which} in it is damaged; export it from its source again"))
        })?;
    }
    Ok(Trusted { roots, presented })
}

/// A certificate chain and its private key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads the client certificate and its key, if they are configured.
pub(super) fn identity(config: &DatabaseConfig) -> Result<Option<Identity>, OpenError> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let chain = certificates("tls_cert", cert)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let problem = "it contains no private key, or an encrypted one; write the key without a passphrase, as \
                           `openssl pkey -in OLD -out NEW` does";
            wrong("tls_key", key, problem.into())
        }
        error => wrong("tls_key", key, unreadable(&error)),
    })?;
    let provider = rustls::crypto::ring::default_provider();
    if provider.key_provider.load_private_key(secret.clone_key()).is_err() {
        return Err(wrong(
            "tls_key",
            key,
            format!("a key of this kind is not supported; create one of a supported kind ({KEYS})"),
        ));
    }
    match CertifiedKey::from_der(chain.clone(), secret.clone_key(), &provider) {
        Ok(_) => Ok(Some((chain, secret))),
        Err(error) => Err(wrong("tls_cert", cert, unfit(&error, &chain))),
    }
}

/// Explains why the client certificate and its key do not work together.
fn unfit(error: &rustls::Error, chain: &[CertificateDer<'_>]) -> String {
    let first = chain.first().and_then(|certificate| Facts::of(certificate));
    let problem = match error {
        rustls::Error::InconsistentKeys(_) => {
            "it belongs to another key; set tls_key to its own key, and put this certificate before those of its CAs"
        }
        _ if first.is_some_and(|facts| facts.is_of_old_version()) => {
            "it is X.509 version 1; create one of version 3, which has extensions (openssl x509 -req needs -extfile or \
             -copy_extensions for that)"
        }
        _ => "it is damaged; export it from its source again",
    };
    format!("it cannot be used with tls_key: {problem}")
}

/// Reads the certificates of a file, which must contain at least one.
fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let all: Vec<_> = all.map_err(|error| wrong(key, path, unreadable(&error)))?;
    if all.is_empty() {
        let advice = "write it in PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
        return Err(wrong(key, path, format!("it contains no certificate; {advice}")));
    }
    Ok(all)
}

/// Creates the error about a file that a key names.
fn wrong(key: &str, path: &Path, problem: String) -> OpenError {
    OpenError(format!("{key}: {}: {problem}", path.display()))
}

/// Explains what is wrong with a PEM file.
fn unreadable(error: &pem::Error) -> String {
    let problem = match error {
        pem::Error::Io(error) => return error.to_string(),
        pem::Error::MissingSectionEnd { .. } => "a section has no -----END line; the file may be truncated",
        pem::Error::Base64Decode(_) => "the data between a -----BEGIN and its -----END line is damaged",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line is damaged",
        _ => "it is not a PEM file",
    };
    format!("{problem}; export it from its source again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_tls_ca_no_public_authority_is_trusted() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/driver/tls/samples/authority.pem");
        let Trusted { roots, presented } = trusted(Some(&sample)).unwrap();
        assert_eq!((roots.len(), presented.len()), (1, 1));
        assert_eq!(roots.subjects().len(), 1);
        let public = trusted(None).unwrap();
        assert!(public.roots.len() > 50 && public.presented.is_empty());
        let own = roots.subjects().remove(0);
        assert!(!public.roots.subjects().iter().any(|subject| subject.as_ref() == own.as_ref()));
    }

    #[test]
    fn a_file_without_a_certificate_is_reported_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let section = |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        for (text, said) in [
            (String::new(), "it contains no certificate; write it in PEM"),
            ("hello\n".into(), "it contains no certificate; write it in PEM"),
            (section("?!"), "is damaged; export it"),
            (section("aGVsbG8="), "certificate no. 1 in it is damaged; export it"),
            ("-----BEGIN CERTIFICATE-----\naGVsbG8=\n".into(), "a section has no -----END line"),
            ("-----BEGIN CERTIFICATE\naGVsbG8=\n".into(), "a -----BEGIN line is damaged"),
        ] {
            std::fs::write(&path, &text).unwrap();
            let error = trusted(Some(&path)).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("tls_ca: {}: ", path.display())), "{error}");
            assert!(error.contains(said), "{text:?}: {error}");
        }
        let error = trusted(Some(Path::new("/nonexistent/ca.pem"))).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}
