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
        let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
        let certificates = Certificates { authority, stranger, certificate, key };
        certificates.request(
            "server",
            &["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:*.example.org,IP:127.0.0.1"],
        );
        certificates.sign("server", "30");
        give(&certificates.key, owner);
        certificates
    }

    /// From now on the server's certificate is one that has expired, as soon as the server reads it again.
    ///
    /// # Panics
    /// When openssl does not do as told.
    pub fn expire(&self) {
        self.sign("server", "-1");
    }

    /// The certificate of a client, by the authority, and its key.
    ///
    /// # Panics
    /// When openssl does not do as told.
    pub fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        self.request(name, &["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")]);
        self.sign(name, "30");
        (self.beside(name, "pem"), self.beside(name, "key"))
    }

    fn beside(&self, name: &str, suffix: &str) -> PathBuf {
        self.authority.with_file_name(name).with_extension(suffix)
    }

    fn request(&self, name: &str, arguments: &[&str]) {
        let (key, request) = (self.beside(name, "key"), self.beside(name, "csr"));
        run(openssl(&["req", "-new", "-nodes"])
            .args(arguments)
            .args(EC_KEY)
            .arg("-keyout")
            .arg(key)
            .arg("-out")
            .arg(request));
    }

    fn sign(&self, name: &str, days: &str) {
        run(openssl(&["x509", "-req", "-days", days, "-copy_extensions", "copy"])
            .arg("-in")
            .arg(self.beside(name, "csr"))
            .arg("-CA")
            .arg(&self.authority)
            .arg("-CAkey")
            .arg(self.authority.with_extension("key"))
            .arg("-out")
            .arg(self.beside(name, "pem")));
    }
}

/// Gives a private key to the user who is to read it.
fn give(key: &Path, owner: User) {
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("the key's mode");
    std::os::unix::fs::chown(key, Some(owner.uid), Some(owner.gid)).expect("the key's owner");
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
