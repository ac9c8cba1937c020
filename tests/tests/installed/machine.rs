//! A bare Debian that has booted, and the packages of two versions.

use super::logins::{Client, Way};
use mailauth_tests::imap::Imap;
use mailauth_tests::people::PASSWORD;
use mailauth_tests::pop3::Pop3;
use mailauth_tests::{Booted, Certificates, MailHost, Scratch, User, bare_debian, program, run, wire};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The account of mailauth.
pub const ANNA: &str = "anna@example.org";
/// The system user that Courier's own daemon finds through PAM, and mailauth does not know.
pub const OLGA: &str = "olga";
/// Where the package keeps the accounts by default.
pub const DATABASE: &str = "/var/lib/mailauth/mail.db";
/// What is installed first, and what it is upgraded to.
pub const VERSIONS: [&str; 2] = ["0.2.90", "0.2.91"];

/// Where the machine finds the packages.
const PACKAGES: &str = "/opt/packages";
/// Debian's services that ask for logins, and the name of the daemon that they require.
const SERVICES: [&str; 6] =
    ["courier-authdaemon", "courier-imap", "courier-imap-ssl", "courier-pop", "courier-pop-ssl", "exim4"];

/// A machine with nothing but Debian's minimum, as it boots.
pub struct Machine {
    pub booted: Booted,
    certificates: Certificates,
    _files: Scratch,
}

impl Machine {
    /// Makes the packages and boots the machine. `None` if there is no bare Debian, which is recorded.
    pub fn new(test: &str) -> Option<Self> {
        let booted = Booted::over(&bare_debian("bookworm", test)?, &[(made_packages(), PACKAGES)]);
        let files = Scratch::new("certificates");
        let certificates = Certificates::make(files.path(), User { uid: 0, gid: 0 });
        Some(Machine { booted, certificates, _files: files })
    }

    /// Returns the paths on the machine of both packages of a version.
    pub fn packages(&self, version: &str) -> String {
        let folder = made_packages().join(version);
        let path = |start| {
            let file = only_file(&folder, start);
            format!("{PACKAGES}/{version}/{}", file.file_name().expect("a name").display())
        };
        ["mailauth_", "mailauth-exim_"].map(path).join(" ")
    }

    /// Runs apt-get without questions, and returns what it prints.
    pub fn apt(&self, arguments: &str) -> String {
        let said = self.booted.shell(&format!("DEBIAN_FRONTEND=noninteractive apt-get -y {arguments} 2>&1"));
        println!("apt-get {arguments}\n{said}");
        said
    }

    /// Creates the account of mailauth and its mailbox.
    pub fn add_anna(&self) {
        self.booted.shell(&format!(
            "mailauth domain add example.org
             echo '{PASSWORD}' | mailauth account add {ANNA} --make-mailbox --password-stdin"
        ));
    }

    /// Creates the system user and its mailbox.
    pub fn add_olga(&self) {
        self.booted.shell(&format!(
            "useradd --create-home {OLGA}
             echo '{OLGA}:{PASSWORD}' | chpasswd
             runuser -u {OLGA} -- maildirmake /home/{OLGA}/Maildir"
        ));
    }

    /// Returns the certificate that signed Exim's.
    pub fn authority(&self) -> &Path {
        &self.certificates.authority
    }

    /// Adds the examples of the package to Debian's split configuration of Exim, as docs/exim-debian.md says, with the
    /// certificate of the tests.
    pub fn set_up_exim(&self) {
        for (from, to) in [(&self.certificates.certificate, "exim.crt"), (&self.certificates.key, "exim.key")] {
            let text = fs::read_to_string(from).expect("a file of openssl");
            self.booted.write(&format!("/etc/exim4/{to}"), &text);
        }
        self.booted.shell(
            "cd /usr/share/doc/mailauth-exim/examples
             cp -r conf.d mailauth.conf /etc/exim4/
             chown root:Debian-exim /etc/exim4/exim.*; chmod 640 /etc/exim4/exim.*
             sed -i \"s/^dc_eximconfig_configtype=.*/dc_eximconfig_configtype='internet'/
                 s/^dc_other_hostnames=.*/dc_other_hostnames='mail.example.org'/
                 s/^dc_local_interfaces=.*/dc_local_interfaces=''/
                 s/^dc_use_split_config=.*/dc_use_split_config='true'/\" /etc/exim4/update-exim4.conf.conf
             echo mail.example.org >/etc/mailname
             update-exim4.conf
             systemctl restart exim4",
        );
        self.allow_exim();
    }

    /// Permits Exim's user to ask the daemon.
    pub fn allow_exim(&self) {
        self.booted.shell(
            "sed -i 's/^#allow_users/allow_users/' /etc/mailauth/mailauth.toml
             systemctl reload mailauth-courier",
        );
    }

    /// Asserts that all of Courier runs with our daemon, and a user logs in by each protocol.
    pub fn answers_from_mailauth(&self) {
        self.runs();
        assert_eq!(self.courier_processes(), "", "Courier's own daemon runs");
        assert_eq!(self.booted.property("mailauth-courier", "ActiveState"), "active");
        let client = Client::of(self);
        for way in Way::ALL {
            let outcome = self.booted.on_its_network(|| client.log_in(way));
            assert_eq!(outcome, Ok(()), "{way:?}\n{}", self.journal());
        }
        assert_eq!(self.answer(OLGA), "FAIL", "mailauth does not know system users");
    }

    /// Asserts that all of Courier runs with its own daemon, which knows only the users of the system.
    pub fn answers_from_courier(&self) {
        self.runs();
        assert_ne!(self.courier_processes(), "", "Courier's own daemon does not run");
        self.booted.on_its_network(|| {
            assert_eq!(Imap::connect(143).login(OLGA, PASSWORD), "OK LOGIN Ok.");
            assert_eq!(Pop3::connect(110).login(OLGA, PASSWORD), "+OK logged in.");
        });
        assert_eq!(self.answer(ANNA), "FAIL", "Courier's own daemon does not know accounts of mailauth");
    }

    /// Returns the first word of the answer on Courier's socket to a login with the right password.
    pub fn answer(&self, login: &str) -> &'static str {
        wire::login(&self.booted.inside(MailHost::SOCKET), login, PASSWORD).word()
    }

    fn runs(&self) {
        self.booted.wait_for_jobs();
        for unit in SERVICES {
            self.booted.wait_until(unit, "active");
        }
        assert_eq!(self.booted.shell("systemctl --failed --no-legend --plain"), "");
        // systemd refuses a sixth start within ten seconds, and here they come as fast as the machine can.
        self.booted.shell("systemctl reset-failed");
    }

    fn courier_processes(&self) -> String {
        self.booted.shell("grep -ls '^authdaemond$' /proc/[0-9]*/comm || true")
    }

    fn journal(&self) -> String {
        self.booted.shell("journalctl --sync; journalctl -b -q -n 100")
    }
}

/// Returns the folder with a folder of packages for each version, made once for all tests of this process.
fn made_packages() -> &'static Path {
    static FOLDER: OnceLock<Scratch> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = Scratch::new("packages");
        let [first, next] = VERSIONS.map(|version| folder.join(version));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("packaging/build");
        let programs = program("mailauth").parent().expect("a folder").to_owned();
        let mut build = Command::new(script);
        build.arg("--programs").arg(programs).args(["--version", VERSIONS[0]]).arg("--output").arg(&first);
        run(&mut build);
        fs::create_dir(&next).expect("a folder");
        for name in ["mailauth", "mailauth-exim"] {
            raise_version(&only_file(&first, &format!("{name}_")), &next);
        }
        folder
    });
    folder.path()
}

/// Writes a package again, with the next version. Making it once more from the programs would take far longer.
fn raise_version(package: &Path, folder: &Path) {
    let work = Scratch::new("repacked");
    let files = work.join("files");
    run(Command::new("dpkg-deb").arg("--raw-extract").args([package, &files]));
    let control = files.join("DEBIAN/control");
    let text = fs::read_to_string(&control).expect("its description");
    let raised = text.replace(VERSIONS[0], VERSIONS[1]);
    assert!(raised.contains(&format!("\nVersion: {}", VERSIONS[1])), "{text}");
    fs::write(control, raised).expect("its description");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "--build"]).args([&files, folder]));
}

/// Returns the file whose name begins like this.
fn only_file(folder: &Path, start: &str) -> PathBuf {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file"));
    let mut found = files.filter(|file| file.file_name().to_string_lossy().starts_with(start));
    let file = found.next().unwrap_or_else(|| panic!("no {start} in {}", folder.display()));
    assert!(found.next().is_none(), "two of {start}");
    file.path()
}
