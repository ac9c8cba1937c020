//! Starts the root part from a daemon that was started as root.

use crate::client::RootPart;
use crate::packet;
use mailauth_core::mailbox::MailboxDefaults;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The program, in the same directory as the daemon.
pub const PROGRAM: &str = "mailauth-mailboxes";

/// The rights that the program gets on its command line: the keys of `[mailbox]` that limit what a question may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights(Vec<OsString>);

impl Rights {
    /// Returns the rights that the configuration gives.
    pub fn of(mailbox: &MailboxDefaults) -> Self {
        let mut options: Vec<OsString> = Vec::new();
        let mut add = |name: &str, value: String| options.extend([name.into(), value.into()]);
        add("--home", mailbox.home.clone());
        add("--maildir", mailbox.maildir.clone());
        if let Some(root) = &mailbox.root {
            add("--root", root.clone());
        }
        for (name, id) in [
            ("--uid", mailbox.uid),
            ("--gid", mailbox.gid),
            ("--min-uid", mailbox.min_uid),
            ("--min-gid", mailbox.min_gid),
        ] {
            if let Some(id) = id {
                add(name, id.to_string());
            }
        }
        Rights(options)
    }

    /// Returns the rights as options of the program.
    pub fn options(&self) -> &[OsString] {
        &self.0
    }
}

/// Starts the root part, which ends with this process. If that fails, the failure is logged, and questions about mailboxes
/// of other users than this process's own are not answered.
pub fn start(rights: &Rights) -> RootPart {
    match try_start(rights) {
        Ok(part) => part,
        Err(error) => {
            let why = format!("{PROGRAM} cannot be started: {error}; install it in the directory of mailauth-courier");
            tracing::error!("{why}; logins go on, and mail for mailboxes with a quota waits");
            RootPart::missing(why)
        }
    }
}

/// Returns the path of the running program. Without /proc, as in some containers, it is the name that it was called by.
///
/// # Errors
/// Fails if it is not known.
pub fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe().or_else(|error| {
        let name = std::env::args_os().next().map(PathBuf::from);
        name.filter(|name| name.is_absolute()).ok_or(error)
    })
}

fn try_start(rights: &Rights) -> io::Result<RootPart> {
    let program = own_program()?.with_file_name(PROGRAM);
    let (ours, theirs) = packet::pair()?;
    let mut command = Command::new(&program);
    command.args(rights.options()).arg("--inherited").current_dir("/").env_clear();
    // This selects the format of its log lines.
    if let Some(journal) = std::env::var_os("JOURNAL_STREAM") {
        command.env("JOURNAL_STREAM", journal);
    }
    command.stdin(Stdio::from(theirs)).stdout(Stdio::null());
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", program.display()));
    // It ends when its socket is closed, and is not waited for.
    command.spawn().map_err(at)?;
    Ok(RootPart::started(ours))
}
