//! A certificate authority of our own, made by openssl.

use crate::process::run;
use crate::scratch::User;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server's key and certificate for `localhost`, 127.0.0.1 (not for 127.0.0.2) and the hosts of example.org, the
/// authority that signed it, and one that did not.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's certificate: what a client should trust.
    pub authority: PathBuf,
    /// An authority that has nothing to do with the server.
    pub stranger: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its private key, which only the server's user may read.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in `folder`, with the key for `owner`.
    ///
    /// # Panics
    /// When openssl does not do as told.
    pub fn make(folder: &Path, owner: User) -> Self {
        let authority = self_signed(folder, "authority");
        let stranger = self_signed(folder, "stranger");
        let (certificate, key, request) =
            (folder.join("server.pem"), folder.join("server.key"), folder.join("server.csr"));
        run(openssl(&["req", "-new", "-nodes", "-subj", "/CN=localhost"])
            .args(EC_KEY)
            .args(["-addext", "subjectAltName=DNS:localhost,DNS:*.example.org,IP:127.0.0.1"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&request));
        run(openssl(&["x509", "-req", "-days", "30", "-copy_extensions", "copy"])
            .arg("-in")
            .arg(&request)
            .arg("-CA")
            .arg(&authority)
            .arg("-CAkey")
            .arg(authority.with_extension("key"))
            .arg("-out")
            .arg(&certificate));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the key's mode");
        std::os::unix::fs::chown(&key, Some(owner.uid), Some(owner.gid)).expect("the key's owner");
        Certificates { authority, stranger, certificate, key }
    }
}

const EC_KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

fn self_signed(folder: &Path, name: &str) -> PathBuf {
    let certificate = folder.join(name).with_extension("pem");
    run(openssl(&["req", "-x509", "-nodes", "-days", "30", "-subj"])
        .arg(format!("/CN=mailauth test {name}"))
        .args(EC_KEY)
        .arg("-keyout")
        .arg(certificate.with_extension("key"))
        .arg("-out")
        .arg(&certificate));
    certificate
}

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}
