//! Starting the root part by a daemon that is root at its start.

use crate::client::RootPart;
use crate::packet;
use mailauth_core::mailbox::MailboxDefaults;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The program, which lies beside the daemon's.
pub const PROGRAM: &str = "mailauth-mailboxes";

/// What the program is told on its command line: the floors under what a question may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The least user id, and one that is permitted beside those.
    pub uid: (u32, Option<u32>),
    /// The same for groups.
    pub gid: (u32, Option<u32>),
    /// The folder below which all homes and Maildirs are.
    pub root: OsString,
}

impl Rights {
    /// Those of mailboxes as the configuration has them.
    pub fn of(_mailbox: &MailboxDefaults) -> Self {
        Rights { uid: (1, None), gid: (1, None), root: "/".into() }
    }

    /// As options of the program.
    pub fn options(&self) -> Vec<OsString> {
        let mut options = vec!["--root".into(), self.root.clone()];
        for (name, beside, (least, other)) in [("--min-uid", "--uid", self.uid), ("--min-gid", "--gid", self.gid)] {
            options.extend([name.into(), least.to_string().into()]);
            options.extend(other.into_iter().flat_map(|id| [beside.into(), id.to_string().into()]));
        }
        options
    }
}

/// Starts the root part, which ends with this process. Where that fails, the log says so, and questions about mailboxes of
/// others than this process's own user are not answered.
pub fn start(rights: &Rights) -> RootPart {
    match try_start(rights) {
        Ok(part) => part,
        Err(error) => {
            let why = format!("{PROGRAM} cannot be started: {error}; install it beside mailauth-courier");
            tracing::error!("{why}; logins go on, and mail for mailboxes with a quota waits");
            RootPart::missing(why)
        }
    }
}

/// The path of the program that runs now. Without /proc, as in some containers, it is what the program was called by.
///
/// # Errors
/// When it is not known.
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
    // So that its lines have the form that the log wants.
    if let Some(journal) = std::env::var_os("JOURNAL_STREAM") {
        command.env("JOURNAL_STREAM", journal);
    }
    command.stdin(Stdio::from(theirs)).stdout(Stdio::null());
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", program.display()));
    // It ends when its socket is closed, and is not waited for.
    command.spawn().map_err(at)?;
    Ok(RootPart::started(ours))
}
