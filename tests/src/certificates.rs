//! A certificate authority of the tests, made by openssl.

use crate::process::run;
use crate::scratch::User;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Certificates of a server that clients may reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusual {
    /// Signed by its own key, and allowed to sign others, as from `openssl req -x509`.
    SelfSigned,
    /// The same, and expired.
    SelfSignedAndExpired,
    /// Signed by its own key, and not allowed to sign others.
    SelfSignedLeaf,
    /// Signed by the authority, without the extensions of version 3.
    Version1,
    /// Signed by the authority, with a CN and without subjectAltName.
    WithoutNames,
    /// Signed by the authority, with a key on an elliptic curve that is not supported.
    KeyOnP521,
    /// Signed by an authority whose key is on that curve.
    AuthorityOnP521,
    /// Signed by the authority, and not valid yet.
    NotYetValid,
    /// Signed by the authority, for clients.
    ForClients,
    /// Signed by the authority, and allowed to sign others.
    AnAuthority,
    /// Signed by another authority of the same name.
    ByNamesake,
}

/// A server's key and certificate for `localhost`, 127.0.0.1 (not for 127.0.0.2) and the hosts of example.org, the
/// authority that signed it, and another authority.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's certificate, which a client should trust.
    pub authority: PathBuf,
    /// An authority that has not signed the server's certificate.
    pub stranger: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its private key, which only the server's user can read.
    pub key: PathBuf,
}

impl Certificates {
    /// Creates the files in `folder`, with the key for `owner`.
    ///
    /// # Panics
    /// Panics if openssl fails.
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

    /// Replaces the server's certificate by one that has expired. The server uses it once it reads its files again.
    ///
    /// # Panics
    /// Panics if openssl fails.
    pub fn expire(&self) {
        self.sign("server", "-1");
    }

    /// Gives the server a new key and this certificate, which it uses once it reads them again. Returns the file that
    /// a client should trust.
    ///
    /// # Panics
    /// Panics if openssl fails.
    pub fn become_unusual(&self, unusual: Unusual, owner: User) -> PathBuf {
        use Unusual as U;
        let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
        let named = ["-subj", "/CN=localhost", "-addext", names];
        let trusted = match unusual {
            U::SelfSigned | U::SelfSignedAndExpired | U::SelfSignedLeaf => {
                let signs = if unusual == U::SelfSignedLeaf { "CA:FALSE" } else { "CA:TRUE" };
                self.request(
                    "server",
                    &[&named[..], &["-addext", &format!("basicConstraints=critical,{signs}")]].concat(),
                );
                let days = if unusual == U::SelfSignedAndExpired { "-1" } else { "30" };
                let mut sign = openssl(&["x509", "-req", "-days", days, "-copy_extensions", "copy", "-in"]);
                sign.arg(self.beside("server", "csr"))
                    .arg("-signkey")
                    .arg(&self.key)
                    .arg("-out")
                    .arg(&self.certificate);
                run(&mut sign);
                // A copy, because the server's file may be readable only by the server's user.
                let trusted = self.beside("itself", "pem");
                fs::copy(&self.certificate, &trusted).expect("a copy");
                trusted
            }
            U::AuthorityOnP521 | U::ByNamesake => {
                let curve = if unusual == U::AuthorityOnP521 { "P-521" } else { "P-256" };
                let other = self_signed_on(self.authority.parent().expect("a folder"), "other", "authority", curve);
                self.request("server", &named);
                self.sign_by(&other, "server", "30", &["-copy_extensions", "copy"]);
                if unusual == U::ByNamesake { self.authority.clone() } else { other }
            }
            U::NotYetValid => {
                self.request("server", &named);
                self.sign_for_later("server");
                self.authority.clone()
            }
            U::Version1 => {
                self.request("server", &["-subj", "/CN=localhost"]);
                self.sign_by(&self.authority, "server", "30", &[]);
                self.authority.clone()
            }
            U::KeyOnP521 => {
                self.request_on("server", &named, "P-521");
                self.sign("server", "30");
                self.authority.clone()
            }
            U::WithoutNames | U::ForClients | U::AnAuthority => {
                let more: &[&str] = match unusual {
                    U::WithoutNames => &["-addext", "basicConstraints=CA:FALSE"],
                    U::ForClients => &["-addext", names, "-addext", "extendedKeyUsage=clientAuth"],
                    _ => &["-addext", names, "-addext", "basicConstraints=critical,CA:TRUE"],
                };
                self.request("server", &[&["-subj", "/CN=localhost"], more].concat());
                self.sign("server", "30");
                self.authority.clone()
            }
        };
        give(&self.key, owner);
        trusted
    }

    /// Returns a certificate of a client, signed by the authority, and its key.
    ///
    /// # Panics
    /// Panics if openssl fails.
    pub fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        self.request(name, &["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")]);
        self.sign(name, "30");
        (self.beside(name, "pem"), self.beside(name, "key"))
    }

    fn beside(&self, name: &str, suffix: &str) -> PathBuf {
        self.authority.with_file_name(name).with_extension(suffix)
    }

    fn request(&self, name: &str, arguments: &[&str]) {
        self.request_on(name, arguments, "P-256");
    }

    fn request_on(&self, name: &str, arguments: &[&str], curve: &str) {
        let (key, request) = (self.beside(name, "key"), self.beside(name, "csr"));
        run(openssl(&["req", "-new", "-nodes"])
            .args(arguments)
            .args(["-newkey", "ec", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")])
            .arg("-keyout")
            .arg(key)
            .arg("-out")
            .arg(request));
    }

    fn sign(&self, name: &str, days: &str) {
        self.sign_by(&self.authority, name, days, &["-copy_extensions", "copy"]);
    }

    fn sign_by(&self, authority: &Path, name: &str, days: &str, arguments: &[&str]) {
        run(openssl(&["x509", "-req", "-days", days])
            .args(arguments)
            .arg("-in")
            .arg(self.beside(name, "csr"))
            .arg("-CA")
            .arg(authority)
            .arg("-CAkey")
            .arg(authority.with_extension("key"))
            .arg("-out")
            .arg(self.beside(name, "pem")));
    }

    /// Signs for a day that is not near. Of openssl's commands only `ca` can, which keeps a database of certificates.
    fn sign_for_later(&self, name: &str) {
        let books = self.beside("books", "d");
        fs::create_dir(&books).expect("a folder");
        fs::write(books.join("index.txt"), "").expect("a file");
        let config = books.join("config");
        let section = format!(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = {0}/index.txt\nnew_certs_dir = {0}\ndefault_md = sha256\n\
             policy = policy\ncopy_extensions = copy\nrand_serial = yes\n[policy]\ncommonName = supplied\n",
            books.display()
        );
        fs::write(&config, section).expect("a file");
        run(openssl(&["ca", "-batch", "-notext", "-startdate", "20600101000000Z", "-enddate", "20610101000000Z"])
            .arg("-config")
            .arg(&config)
            .arg("-cert")
            .arg(&self.authority)
            .arg("-keyfile")
            .arg(self.authority.with_extension("key"))
            .arg("-in")
            .arg(self.beside(name, "csr"))
            .arg("-out")
            .arg(self.beside(name, "pem")));
    }
}

/// Makes a private key readable only by this user.
fn give(key: &Path, owner: User) {
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("the key's mode");
    std::os::unix::fs::chown(key, Some(owner.uid), Some(owner.gid)).expect("the key's owner");
}

fn self_signed(folder: &Path, name: &str) -> PathBuf {
    self_signed_on(folder, name, name, "P-256")
}

/// Creates an authority of this name, in files of another name.
fn self_signed_on(folder: &Path, file: &str, name: &str, curve: &str) -> PathBuf {
    let certificate = folder.join(file).with_extension("pem");
    run(openssl(&["req", "-x509", "-nodes", "-days", "30", "-subj"])
        .arg(format!("/CN=mailauth test {name}"))
        .args(["-newkey", "ec", "-pkeyopt", &format!("ec_paramgen_curve:{curve}")])
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
