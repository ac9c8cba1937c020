//! A certificate authority of our own, made by openssl.

use crate::process::run;
use crate::scratch::User;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a server's certificate may be instead of a good one by the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusual {
    /// Signed by its own key, as one that may sign others too, as `openssl req -x509` makes it.
    SelfSigned,
    /// The same, and it has expired.
    SelfSignedAndExpired,
    /// Signed by its own key, as one that may not sign others.
    SelfSignedLeaf,
    /// By the authority, without the extensions of version 3.
    Version1,
    /// By the authority, with a CN and no subjectAltName.
    WithoutNames,
    /// By the authority, for an elliptic curve that is not supported.
    KeyOnP521,
    /// By an authority whose key is on that curve.
    AuthorityOnP521,
    /// By the authority, for later.
    NotYetValid,
    /// By the authority, for clients.
    ForClients,
    /// By the authority, as one that may sign others.
    AnAuthority,
    /// By another authority that has the same name.
    ByNamesake,
}

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
    /// Panics if openssl does not do as told.
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
    /// Panics if openssl does not do as told.
    pub fn expire(&self) {
        self.sign("server", "-1");
    }

    /// From now on the server has a new key and this certificate, as soon as it reads them again. Returns the file with
    /// what a client should trust.
    ///
    /// # Panics
    /// Panics if openssl does not do as told.
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
                // A file of its own: the server's may be one of its user's alone.
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

    /// The certificate of a client, by the authority, and its key.
    ///
    /// # Panics
    /// Panics if openssl does not do as told.
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

    /// Signs for a day that is not near. Of openssl's commands only `ca` can, which keeps books.
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

/// Gives a private key to the user who is to read it.
fn give(key: &Path, owner: User) {
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("the key's mode");
    std::os::unix::fs::chown(key, Some(owner.uid), Some(owner.gid)).expect("the key's owner");
}

fn self_signed(folder: &Path, name: &str) -> PathBuf {
    self_signed_on(folder, name, name, "P-256")
}

/// An authority of this name, in files of another.
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
