//! The error messages of a program that gets no answer from the daemon: what happened, and what to do.

use mailauth_tests::{Accounts, Kind, Mailauth, Scratch, User, output_with_input, program_as};
use rustix::process::Signal;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// A daemon, and a question by the system user nobody.
struct Site {
    accounts: Accounts,
    daemon: Mailauth,
    folder: Scratch,
}

impl Site {
    fn with(courier: &str) -> Self {
        let accounts = Accounts::empty(Kind::Sqlite).with("login\nanna@example.org\n");
        let daemon = Mailauth::with(&accounts, courier);
        Site { accounts, daemon, folder: Scratch::new("reasons") }
    }

    /// Returns the error message for a question on this socket, which gets no answer now.
    fn said(&self, user: User, socket: &Path) -> String {
        let file: PathBuf = self.folder.join("mailauth.toml");
        let client = format!("[client]\nsocket = '{}'\nfallback = 'none'\ndeadline = '500ms'\n", socket.display());
        fs::write(&file, format!("{}{client}", self.accounts.config())).expect("a configuration");
        let mut command = program_as(user, "mailauth-exim");
        command.arg("--config").arg(&file).args(["domain", "example.org"]);
        let output = output_with_input(command.current_dir("/"), "");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(75), "{said}");
        said
    }

    fn said_to_nobody(&self, socket: &Path) -> String {
        self.said(User::named("nobody"), socket)
    }
}

fn contains_all(said: &str, wanted: &[&str]) {
    assert!(wanted.iter().all(|wanted| said.contains(wanted)), "{wanted:?} in {said}");
}

#[test]
fn a_user_without_access_is_told_the_missing_group() {
    let mail = User::named("mail");
    let site = Site::with("socket_group = 'mail'\n");
    let socket = site.daemon.socket().to_owned();
    let may_not = "the user nobody may not connect to the daemon: Permission denied";
    let said = site.said_to_nobody(&socket);
    contains_all(&said, &[may_not, &socket.display().to_string(), "(mode 0660)", "add the user to the group mail"]);

    let parent = socket.parent().expect("its folder");
    chown(parent, None, Some(mail.gid)).expect("its group");
    fs::set_permissions(parent, Permissions::from_mode(0o750)).expect("its mode");
    let said = site.said_to_nobody(&socket);
    let folder = format!("the folder {} is open only to the group mail (mode 0750)", parent.display());
    contains_all(&said, &[may_not, &folder, "add the user to the group mail"]);
    assert!(!said.contains("the daemon is away"), "{said}");
}

#[test]
fn a_refused_user_is_told_how_to_get_access() {
    let site = Site::with("socket_mode = '0666'\nsocket_group = 'mail'\n");
    let said = site.said_to_nobody(site.daemon.socket());
    contains_all(&said, &["does not accept the user nobody", "add nobody to [courier] allow_users and reload"]);
    assert!(!said.contains("away"), "{said}");
}

#[test]
fn stopped_frozen_and_failing_daemons_are_distinguished() {
    let mut site = Site::with("");
    let (root, socket) = (User { uid: 0, gid: 0 }, site.daemon.socket().to_owned());
    fs::remove_file(site.accounts.file()).expect("the database");
    let said = site.said(root, &socket);
    contains_all(&said, &["the daemon cannot answer now: ", "there is no database at ", "mailauth init"]);
    site.daemon.signal(Signal::STOP);
    let said = site.said(root, &socket);
    contains_all(&said, &["the daemon did not answer within ", "it is frozen or overloaded; see its log"]);
    site.daemon.crash();
    let said = site.said(root, &socket);
    contains_all(&said, &["the daemon is away: nothing listens on ", "start mailauth-courier"]);
    fs::remove_file(&socket).expect("the socket");
    let said = site.said(root, &socket);
    contains_all(&said, &["the daemon is away: there is no ", "start mailauth-courier", "[client] socket"]);
    fs::write(&socket, "").expect("a file");
    contains_all(&site.said(root, &socket), &["is not a socket", "move it away"]);
}
