//! The parts of a certificate that explain why it is not accepted.

use super::KEYS;
use crate::printable::brief;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};

/// A problem with a certificate in plain words, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{problem}; {advice}")]
pub(super) struct Fault {
    /// Continues "the certificate of the server NAME".
    pub(super) problem: String,
    /// What to do about it.
    pub(super) advice: String,
}

impl Fault {
    pub(super) fn new(problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Fault { problem: problem.into(), advice: advice.into() }
    }
}

/// A parsed certificate.
pub(super) struct Facts(Certificate);

/// The attribute `commonName` (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Elliptic curves, their names, and whether they are supported: all supported ones and the most common others.
const CURVES: [(&str, &str, bool); 5] = [
    ("1.2.840.10045.3.1.7", "P-256", true),
    ("1.3.132.0.34", "P-384", true),
    ("1.3.132.0.35", "P-521", false),
    ("1.3.132.0.33", "P-224", false),
    ("1.3.132.0.10", "secp256k1", false),
];

/// Kinds of keys that are not supported.
const OTHER_KEYS: [(&str, &str); 3] =
    [("1.2.840.10040.4.1", "DSA"), ("1.3.101.113", "Ed448"), ("1.2.840.113549.1.1.10", "RSA-PSS")];

/// Signature algorithms of certificates that are not accepted.
const OLD_SIGNATURES: [(&str, &str); 8] = [
    ("1.2.840.113549.1.1.2", "MD2"),
    ("1.2.840.113549.1.1.4", "MD5"),
    ("1.2.840.113549.1.1.5", "SHA-1"),
    ("1.2.840.113549.1.1.14", "SHA-224"),
    ("1.2.840.10045.4.1", "SHA-1"),
    ("1.2.840.10045.4.3.1", "SHA-224"),
    ("1.2.840.10040.4.3", "SHA-1"),
    ("2.16.840.1.101.3.4.3.2", "DSA"),
];

impl Facts {
    /// Parses a certificate in DER; returns `None` if it is malformed.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        Certificate::from_der(der).ok().map(Facts)
    }

    /// Returns true if it is of a version before 3, which has no extensions.
    pub(super) fn is_of_old_version(&self) -> bool {
        self.0.tbs_certificate.version != x509_cert::Version::V3
    }

    /// Returns true if its issuer is its own subject.
    pub(super) fn is_self_signed(&self) -> bool {
        self.0.tbs_certificate.issuer == self.0.tbs_certificate.subject
    }

    /// Returns true if it is a CA certificate.
    pub(super) fn is_of_authority(&self) -> bool {
        matches!(self.0.tbs_certificate.get::<BasicConstraints>(), Ok(Some((_, BasicConstraints { ca: true, .. }))))
    }

    /// Checks that it is valid at this time.
    pub(super) fn validity(&self, now: UnixTime) -> Result<(), CertificateError> {
        let validity = &self.0.tbs_certificate.validity;
        let now = Duration::from_secs(now.as_secs());
        if now < validity.not_before.to_unix_duration() {
            Err(CertificateError::NotValidYet)
        } else if now > validity.not_after.to_unix_duration() {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        }
    }

    /// Returns what is wrong with its version or key, whichever CA issued it.
    pub(super) fn unusable(&self) -> Option<Fault> {
        if self.is_of_old_version() {
            return Some(Fault::new(
                "is X.509 version 1, which has no extensions and therefore no names",
                "create one of version 3 with a subjectAltName (openssl x509 -req needs -extfile or -copy_extensions \
                 copy for that), and install it on the server",
            ));
        }
        let key = self.unsupported_key()?;
        Some(Fault::new(
            format!("has a key that is not supported ({key})"),
            format!("create a key of a supported kind ({KEYS}) and a certificate for it"),
        ))
    }

    /// Returns the kind of its key if that is not supported.
    fn unsupported_key(&self) -> Option<String> {
        let key = &self.0.tbs_certificate.subject_public_key_info;
        let name_in = |list: &[(&str, &str)], oid: &ObjectIdentifier| {
            list.iter().find(|(known, _)| *known == oid.to_string()).map(|(_, name)| (*name).to_owned())
        };
        match key.algorithm.oid {
            RSA => {
                let bits = rsa_bits(key.subject_public_key.raw_bytes())?;
                (!(2048..=8192).contains(&bits)).then(|| format!("RSA with {bits} bits"))
            }
            ED25519 => None,
            ELLIPTIC => {
                let curve = key.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()?;
                match CURVES.iter().find(|(known, ..)| *known == curve.to_string()) {
                    Some((_, _, true)) => None,
                    Some((_, name, false)) => Some(format!("ECDSA on {name}")),
                    None => Some(format!("ECDSA on the curve {curve}")),
                }
            }
            other => Some(name_in(&OTHER_KEYS, &other).unwrap_or_else(|| format!("algorithm {other}"))),
        }
    }

    /// Returns the name of its signature algorithm if that is one of [`OLD_SIGNATURES`].
    pub(super) fn old_signature(&self) -> Option<&'static str> {
        let oid = self.0.signature_algorithm.oid.to_string();
        OLD_SIGNATURES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
    }

    /// Returns the fault of a certificate that is not for `host`.
    pub(super) fn misnamed(&self, host: &str) -> Fault {
        let names = self.names();
        if names.is_empty() {
            let common = self.common_name().map_or(String::new(), |name| format!(" (its CN, {name}, is not used)"));
            return Fault::new(
                format!("is not valid for this name, because it has no subjectAltName{common}"),
                format!(
                    "create one with subjectAltName = {}:{host}, or set [database] tls = \"verify-ca\" if every server \
                     with a certificate from this CA is trusted",
                    if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" }
                ),
            );
        }
        Fault::new(
            format!("is for another name ({})", names.join(", ")),
            format!("connect by a name that it contains, or install one for {host} on the server"),
        )
    }

    /// Returns the first few host names and addresses that it is for.
    fn names(&self) -> Vec<String> {
        let Ok(Some((_, SubjectAltName(names)))) = self.0.tbs_certificate.get::<SubjectAltName>() else {
            return Vec::new();
        };
        let name = |name: &GeneralName| match name {
            GeneralName::DnsName(name) => Some(brief(name.as_str(), 255).into_owned()),
            GeneralName::IpAddress(bytes) => match bytes.as_bytes() {
                four if four.len() == 4 => {
                    <[u8; 4]>::try_from(four).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string())
                }
                rest => <[u8; 16]>::try_from(rest).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
            },
            _ => None,
        };
        names.iter().filter_map(name).take(5).collect()
    }

    /// Returns its `commonName`.
    fn common_name(&self) -> Option<String> {
        let parts = self.0.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
        let value = parts.filter(|part| part.oid == COMMON_NAME).map(|part| part.value.value()).next()?;
        Some(brief(&String::from_utf8_lossy(value), 100).into_owned())
    }
}

/// Returns the number of bits of the modulus of an RSA key (RFC 8017, appendix A.1.1).
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(key).ok()?;
    let modulus = reader.sequence(|inner| {
        let modulus = UintRef::decode(inner)?;
        UintRef::decode(inner)?;
        Ok(modulus)
    });
    let bytes = modulus.ok()?;
    let first = bytes.as_bytes().first()?;
    Some(bytes.as_bytes().len() * 8 - usize::try_from(first.leading_zeros()).ok()?)
}
