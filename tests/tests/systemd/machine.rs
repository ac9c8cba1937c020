//! A booted machine with Courier, which is then set up as the pages in docs/ print.

use super::page::{Kind, Piece, page, repository};
use super::terminal::at_a_terminal;
use mailauth_tests::imap::Imap;
use mailauth_tests::pop3::Pop3;
use mailauth_tests::{Booted, MailHost, Scratch, eventually, program};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The account that the page creates.
pub const ANNA: &str = "anna@example.org";
pub const CONFIG: &str = "/etc/mailauth/mailauth.toml";

/// Debian's services of Courier, all enabled as by their packages.
pub const SERVICES: [&str; 4] = ["courier-imap", "courier-imap-ssl", "courier-pop", "courier-pop-ssl"];

const INSTALL: &str = "docs/install.md";
const COURIER: &str = "docs/courier.md";
const CLONE: &str = "/opt/mailauth";
const PROGRAMS: &str = "/opt/programs";
const PACKAGING: &str = "/opt/packaging";

pub struct Machine {
    pub booted: Booted,
    _files: Scratch,
}

impl Machine {
    /// Boots a machine, and starts Courier with its own daemon.
    pub fn with_courier() -> Self {
        let machine = Self::new();
        machine.booted.shell(&format!("systemctl enable --now courier-authdaemon {}", SERVICES.join(" ")));
        machine
    }

    /// Boots a machine.
    pub fn new() -> Self {
        Self::with_folder(None)
    }

    /// Boots a machine with this folder at this path.
    pub fn with_folder(other: Option<(&Path, &str)>) -> Self {
        let files = Scratch::new("clone");
        for folder in ["target", "bin"] {
            fs::create_dir(files.join(folder)).expect("a folder");
        }
        symlink(PROGRAMS, files.join("target/release")).expect("a link");
        symlink(PACKAGING, files.join("packaging")).expect("a link");
        // The programs are built already.
        let cargo = files.join("bin/cargo");
        fs::write(&cargo, "#!/bin/sh\n[ \"$*\" = 'build --release' ]\n").expect("a script");
        fs::set_permissions(&cargo, Permissions::from_mode(0o755)).expect("its mode");
        let programs = program("mailauth").parent().expect("a folder").to_owned();
        let packaging = repository().join("packaging");
        let folders = [(files.path(), CLONE), (&*programs, PROGRAMS), (&*packaging, PACKAGING)];
        let booted = Booted::with(&folders.into_iter().chain(other).collect::<Vec<_>>());
        Machine { booted, _files: files }
    }

    /// Does what the pages for the installation and for Courier print.
    pub fn install(&self) {
        self.follow_page(INSTALL);
        self.follow_page(COURIER);
    }

    /// Does what the blocks of this page print.
    pub fn follow_page(&self, name: &str) {
        let blocks = page(name).into_iter().filter(|piece| piece.language().is_some());
        let count = blocks.map(|block| self.follow(&block)).count();
        assert!(count > 0, "{name} has no block");
    }

    fn follow(&self, block: &Piece) {
        match block.language() {
            Some("toml") if block.text.starts_with("[courier]") => self.change_section(&block.text),
            Some("toml") => self.booted.write(CONFIG, &block.text),
            Some("conf") => {
                let path = block.text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a file's name");
                self.booted.write(path, &block.text);
            }
            Some("sh" | "") => self.type_in(&block.text),
            other => panic!("no test knows what to do with a block of {other:?}:\n{}", block.text),
        }
    }

    /// Replaces the section `[courier]`, which is the last one.
    fn change_section(&self, text: &str) {
        let before = fs::read_to_string(self.booted.inside(CONFIG)).expect("the configuration");
        let (others, _) = before.split_once("[courier]\n").expect("the section");
        self.booted.write(CONFIG, &format!("{others}{text}"));
    }

    /// Does what the page prints for going back.
    pub fn go_back(&self) {
        let back = page(COURIER).into_iter().find(|piece| {
            piece.kind == Kind::Indented && piece.text.contains("systemctl disable --now mailauth-courier")
        });
        self.type_in(&back.expect("the block for going back").text);
    }

    fn type_in(&self, text: &str) {
        self.booted.write("/run/block.sh", text);
        at_a_terminal(self.typed(&["setsid", "--ctty", "--wait", "sh", "-e", "/run/block.sh"]), text);
    }

    fn typed(&self, words: &[&str]) -> Command {
        let mut command = self.booted.command("env");
        let path = format!("PATH={CLONE}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(["-C", CLONE, &path]).args(words);
        command
    }

    /// Returns the state of a unit.
    pub fn state(&self, unit: &str) -> String {
        self.booted.property(unit, "ActiveState")
    }

    /// Stops the daemon, so that no login starts it again.
    pub fn stop_daemon(&self) {
        self.booted.shell("systemctl stop mailauth-courier.socket");
    }

    /// Returns the processes of Courier's own daemon.
    pub fn courier_processes(&self) -> String {
        self.booted.shell("grep -ls '^authdaemond$' /proc/[0-9]*/comm || true")
    }

    pub fn imap_login(&self, login: &str, password: &str) -> String {
        self.booted.on_its_network(|| Imap::connect(143).login(login, password))
    }

    pub fn pop3_login(&self, login: &str, password: &str) -> String {
        self.booted.on_its_network(|| Pop3::connect(110).login(login, password))
    }

    /// Returns its socket, as the tests know it.
    pub fn socket(&self) -> PathBuf {
        self.booted.inside(MailHost::SOCKET)
    }

    /// Makes the daemon read the printed configuration again, with this section after it.
    pub fn reload_with(&self, section: &str) {
        let printed = page(INSTALL).into_iter().find(|piece| piece.language() == Some("toml"));
        self.booted.write(CONFIG, &format!("{}\n{section}", printed.expect("a configuration").text));
        self.booted.shell("systemctl reload mailauth-courier");
    }

    /// Returns the daemon's journal since the last boot, by journalctl with these options.
    pub fn journal(&self, options: &str) -> String {
        self.booted.shell(&format!("journalctl --sync; journalctl -b -q -t mailauth-courier {options}"))
    }

    pub fn wait_for_journal(&self, text: &str) {
        eventually(text, Duration::from_secs(30), || self.journal("-o cat").contains(text));
    }
}
