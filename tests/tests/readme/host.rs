//! A mail host that is set up only by what the pages print.

use super::page::{Piece, repository};
use super::terminal::at_a_terminal;
use mailauth_tests::checkpassword::script;
use mailauth_tests::exim::Exim;
use mailauth_tests::{Child, MailHost, Scratch, User, output_with_input, program, run, static_program};
use rustix::process::Signal;
use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub const CONFIG: &str = "/etc/mailauth/mailauth.toml";
const UNITS: &str = "/etc/systemd/system";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Debian has no qmail. These scripts do what its programs do for a login by USER and PASS.
const QMAIL: [(&str, &str); 2] =
    [("qmail-popup", include_str!("qmail-popup.sh")), ("qmail-pop3d", include_str!("qmail-pop3d.sh"))];

/// The host. Its `clone` folder is that of the repository as far as the page needs it: `target/release` contains the
/// programs that cargo has just built for the tests, and `cargo` does nothing.
pub struct Host {
    pub host: Arc<MailHost>,
    files: Scratch,
    server: Option<Server>,
}

/// The daemon as systemd has started it.
struct Server {
    unit: HashMap<String, String>,
    process: Child,
    _mailboxes: Child,
    says: UnixDatagram,
}

impl Host {
    pub fn new() -> Self {
        let files = Scratch::new("readme");
        for folder in ["clone/target", "bin"] {
            fs::create_dir_all(files.join(folder)).expect("a folder");
        }
        let built = program("mailauth").parent().expect("a folder").to_owned();
        symlink(built, files.join("clone/target/release")).expect("a link");
        symlink(repository().join("packaging"), files.join("clone/packaging")).expect("a link");
        let cargo = files.join("bin/cargo");
        fs::write(&cargo, "#!/bin/sh\n[ \"$*\" = 'build --release' ]\n").expect("a script");
        fs::set_permissions(&cargo, Permissions::from_mode(0o755)).expect("its mode");
        for (name, text) in QMAIL {
            script(&files.join("bin").join(name), text);
        }
        Host { host: Arc::new(MailHost::with_own(&Exim::OWN)), files, server: None }
    }

    /// Provides the static build, made by the command that the page prints.
    pub fn have_static_build(&self) {
        let built = static_program("mailauth-pop3");
        let folder = built.parent().expect("a folder");
        let [.., target, _release] = &folder.iter().collect::<Vec<_>>()[..] else { panic!("a target's folder") };
        let place = self.files.join("clone/target").join(target);
        fs::create_dir(&place).expect("a folder");
        symlink(folder, place.join("release")).expect("a link");
    }

    /// Follows a block of a page: runs it, or writes the file that it prints.
    pub fn follow(&mut self, block: &Piece) {
        let text = &block.text;
        match block.language() {
            Some("toml") if text.starts_with("[courier]") => self.change_section(text),
            Some("toml") => self.write(CONFIG, text),
            Some("exim") => self.write_first(text),
            Some("sh") => self.run_block(text),
            Some("") => self.switch_over(text),
            other => panic!("no test knows what to do with a block of {other:?}:\n{text}"),
        }
    }

    /// Replaces the section `[courier]`, which is the last one.
    fn change_section(&self, text: &str) {
        let before = fs::read_to_string(self.host.inside(CONFIG)).expect("the configuration");
        let (others, _) = before.split_once("[courier]\n").expect("the section");
        self.write(CONFIG, &format!("{others}{text}"));
    }

    /// Writes the file that the block's first line names. Of several forms of a file, the first one is used.
    fn write_first(&self, text: &str) {
        let path = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a file's name");
        if !self.host.inside(&format!("{path}.printed")).exists() {
            self.write(path, text);
            self.write(&format!("{path}.printed"), "");
        }
    }

    /// Writes a file of the host.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.host.inside(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("its folder");
        fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Writes a file of the host that only root can read.
    pub fn write_secret(&self, path: &str, text: &str) {
        self.write(path, text);
        fs::set_permissions(self.host.inside(path), Permissions::from_mode(0o600)).expect("its mode");
    }

    /// Returns a command that root runs in the clone of the repository.
    pub fn shell(&self, line: &str) -> Command {
        self.typed(&["sh", "-ec", line])
    }

    fn typed(&self, words: &[&str]) -> Command {
        let mut command = self.host.command("env");
        command.current_dir("/").args(["-i", "-C"]).arg(self.files.join("clone"));
        command.arg(format!("PATH={}:{PATH}", self.files.join("bin").display())).args(words);
        command
    }

    /// Runs a command, and returns its exit code and all of its output.
    pub fn outcome(&self, line: &str) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = output_with_input(&mut self.shell(line), "");
        (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }

    fn run_block(&self, text: &str) {
        let file = self.files.join("block.sh");
        fs::write(&file, text).expect("the block");
        at_a_terminal(self.typed(&["setsid", "--ctty", "--wait", "sh", "-e", file.to_str().expect("a path")]), text);
    }

    fn unit(&self, name: &str) -> HashMap<String, String> {
        let unit = fs::read_to_string(self.host.inside(&format!("{UNITS}/{name}.service"))).expect("the unit");
        unit.lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Starts the daemon as its unit says; tests/systemd.rs lets a real systemd do it.
    fn switch_over(&mut self, text: &str) {
        assert!(text.contains("\nsystemctl enable --now mailauth-courier\n"), "{text}");
        let (unit, mailboxes) = (self.unit("mailauth-courier"), self.unit("mailauth-mailboxes"));
        assert_eq!(unit["Type"], "notify");
        let units = "mailauth-courier.service mailauth-courier.socket mailauth-mailboxes.service \
                     mailauth-quota-recount.service mailauth-quota-recount.timer";
        assert_eq!(run(&mut self.shell(&format!("cd {UNITS}; systemd-analyze verify {units} 2>&1"))), "");
        self.server = Some(Server::start(&self.host, &self.files, unit, &mailboxes));
    }

    /// Starts the daemon by hand, without a unit.
    pub fn start_by_hand(&self) -> Child {
        let mut command = self.host.plain_command(program("mailauth-courier"));
        command.current_dir("/").stdin(Stdio::null());
        command.stderr(File::create(self.files.join("log")).expect("a log"));
        Child::spawn(command)
    }

    /// Returns the log of the daemon.
    pub fn log(&self) -> String {
        fs::read_to_string(self.files.join("log")).unwrap_or_default()
    }

    /// Reloads the daemon, as `systemctl reload` does.
    pub fn reload(&self) {
        self.server.as_ref().expect("a running daemon").reload();
    }

    /// Stops the daemon, as `systemctl stop` does.
    pub fn stop(&mut self) {
        let mut server = self.server.take().expect("a running daemon");
        server.process.signal(Signal::TERM);
        server.expect("STOPPING=1");
        let status = server.process.wait(Duration::from_secs(20));
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", self.log());
    }
}

impl Server {
    fn start(
        host: &MailHost,
        files: &Scratch,
        unit: HashMap<String, String>,
        mailboxes: &HashMap<String, String>,
    ) -> Self {
        // A name that is not a path: the daemon and the test see different files.
        let name = files.path().to_str().expect("a path").to_owned();
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        let says = UnixDatagram::bind_addr(&address).expect("a socket");
        says.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
        let log = File::create(files.join("log")).expect("a log");
        let started = |unit: &HashMap<String, String>| Child::spawn(as_in_its_unit(host, unit, &name, &log));
        let root_part = started(mailboxes);
        expect(&says, "READY=1");
        let process = started(&unit);
        let server = Server { unit, process, _mailboxes: root_part, says };
        server.expect("READY=1");
        server
    }

    /// Waits until the daemon reports this state to systemd.
    fn expect(&self, state: &str) {
        expect(&self.says, state);
    }

    fn reload(&self) {
        let pid = self.process.pid().as_raw_nonzero().to_string();
        run(Command::new("sh").args(["-ec", &self.unit["ExecReload"]]).env("MAINPID", pid));
        self.expect("RELOADING=1");
        self.expect("READY=1");
    }
}

fn expect(says: &UnixDatagram, state: &str) {
    let mut told = [0; 1000];
    let length = says.recv(&mut told).unwrap_or_else(|e| panic!("no {state}: {e}"));
    let told = String::from_utf8_lossy(&told[..length]).into_owned();
    assert_eq!(told.lines().next(), Some(state));
}

/// Returns the command of a service, with the user, the groups, the capabilities and the folder of its unit.
fn as_in_its_unit(host: &MailHost, unit: &HashMap<String, String>, notify: &str, log: &File) -> Command {
    let number = |kind: &str, name: &str| -> u32 {
        let found = run(host.command("getent").args([kind, name]));
        found.split(':').nth(2).expect("a number").parse().expect("a number")
    };
    let user = unit.get("User").map_or(0, |name| number("passwd", name));
    let group = number("group", &unit["Group"]);
    let mode = u32::from_str_radix(&unit["RuntimeDirectoryMode"], 8).expect("a mode");
    for name in unit["RuntimeDirectory"].split(' ') {
        let folder = host.inside(&format!("/run/{name}"));
        chown(&folder, Some(user), Some(group)).expect("its group");
        fs::set_permissions(&folder, Permissions::from_mode(mode)).expect("its mode");
    }

    let mut command = host.plain_command("setpriv");
    command.args(["--no-new-privs", "--pdeathsig=KILL"]);
    command.args([format!("--reuid={user}"), format!("--regid={group}")]);
    match unit.get("SupplementaryGroups") {
        Some(name) => command.arg(format!("--groups={}", number("group", name))),
        None => command.arg("--clear-groups"),
    };
    let kept = unit["CapabilityBoundingSet"].split_whitespace();
    let kept: String = kept.map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_lowercase())).collect();
    command.arg(format!("--bounding-set=-all{kept}"));
    command.args(unit["ExecStart"].split(' ')).current_dir("/");
    command.env_clear().env("PATH", PATH).env("NOTIFY_SOCKET", format!("@{notify}"));
    let log = || log.try_clone().expect("a descriptor");
    command.stdin(Stdio::null()).stdout(log()).stderr(log());
    command
}

/// Returns a user that is not root and has only the group of `like`.
pub fn member_of(like: &str) -> User {
    User { uid: User::named("nobody").uid, gid: User::named(like).gid }
}

/// Returns true if the repository has this file.
pub fn is_in_repository(name: &str) -> bool {
    repository().join(name).exists()
}
