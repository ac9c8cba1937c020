//! What `mailauth check` reports about the sockets of `[dovecot]` and `[postfix]`.

use super::findings::{Findings, State};
use mailauth_core::config::{Config, ListenAddress, ListenSocket};
use mailauth_core::{names, system_ids};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Maximum time to wait for what a socket says.
const PATIENCE: Duration = Duration::from_secs(5);

/// Maximum number of bytes of what a socket says that are read.
const MAX_SAID: usize = 4096;

/// A look-up in a table that does not exist, which needs no database.
const NO_TABLE: &[u8] = b"20:mailauth-check check,";

/// What a socket says to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    /// Its mechanisms, at once.
    Logins,
    /// Its version, at once.
    LookUps,
    /// That there is no such table, when asked for one.
    Tables,
    /// Nothing before a complete request.
    Policy,
}

/// A socket of the configuration.
pub(super) struct Kept<'c> {
    what: &'static str,
    /// Key that names it.
    pub key: &'static str,
    spoken: Spoken,
    pub socket: &'c ListenSocket,
}

/// Returns the sockets of `[dovecot]` and `[postfix]`.
pub(super) fn sockets(config: &Config) -> impl Iterator<Item = Kept<'_>> {
    let (dovecot, postfix) = (&config.dovecot, &config.postfix);
    let lists = [
        ("client socket", "[dovecot] client_socket", Spoken::Logins, &dovecot.client),
        ("login socket", "[dovecot] login_socket", Spoken::Logins, &dovecot.login),
        ("userdb socket", "[dovecot] userdb_socket", Spoken::LookUps, &dovecot.userdb),
        ("master socket", "[dovecot] master_socket", Spoken::LookUps, &dovecot.master),
        ("socketmap", "[postfix] socketmap_socket", Spoken::Tables, &postfix.socketmap),
        ("policy", "[postfix] policy_socket", Spoken::Policy, &postfix.policy),
    ];
    lists
        .into_iter()
        .flat_map(|(what, key, spoken, sockets)| sockets.iter().map(move |socket| Kept { what, key, spoken, socket }))
}

/// Checks that the daemon answers on each of the sockets, and that those who are to ask there can do so, and no others.
pub(super) fn look(config: &Config, findings: &mut Findings) {
    for kept in sockets(config) {
        let problems = match &kept.socket.address {
            ListenAddress::Unix(path) => kept.file_problems(path),
            ListenAddress::Tcp(_) => Ok(Vec::new()),
        };
        let answered = problems.map(|problems| {
            problems.into_iter().for_each(|text| findings.add(kept.what, State::Degraded, text));
        });
        let (address, key) = (&kept.socket.address, kept.key);
        match answered.and_then(|()| kept.ask(config)) {
            Ok(()) => {
                let whom = if matches!(address, ListenAddress::Tcp(_)) { " every user of this host" } else { "" };
                findings.add(kept.what, State::Ok, format!("{address} answers{whom}"));
            }
            Err(text) => findings.add(kept.what, State::Degraded, format!("{key}: {text}")),
        }
    }
}

impl Kept<'_> {
    /// Returns what is wrong with the file of the socket.
    ///
    /// # Errors
    /// Fails if there is no socket.
    fn file_problems(&self, path: &Path) -> Result<Vec<String>, String> {
        let shown = path.display();
        let found = match fs::metadata(path) {
            Ok(found) if found.file_type().is_socket() => found,
            Ok(_) => return Err(format!("{shown} is not a socket; move it away, and restart mailauth-courier")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!("there is no {shown}; start mailauth-courier, or see its log"));
            }
            Err(error) => return Err(format!("{shown} cannot be accessed: {error}; run this command as root")),
        };
        let rights = self.other_rights(path, &found);
        let key = self.key;
        let problems = rights.into_iter().chain(self.closed_folders(path));
        Ok(problems.map(|text| format!("{key}: {text}")).collect())
    }

    /// Returns how the rights of the file differ from the configuration.
    fn other_rights(&self, path: &Path, found: &Metadata) -> Option<String> {
        let ListenSocket { user, group, mode, .. } = self.socket;
        let (shown, is_mode) = (path.display(), found.mode() & 0o777);
        let fix = "restart mailauth-courier, or correct SocketMode=, SocketUser= and SocketGroup= of its socket unit";
        if is_mode != *mode {
            return Some(format!("{shown} has mode {is_mode:04o} instead of {mode:04o}; {fix}"));
        }
        let other_user = user.as_ref().filter(|name| system_ids::of_user(name) != Some(found.uid()));
        let other_group = group.as_ref().filter(|name| group_id(name) != Some(found.gid()));
        let text = match (other_user, other_group) {
            (Some(wanted), _) => format!("belongs to the user {} instead of {wanted}", names::user(found.uid())),
            (None, Some(wanted)) => format!("belongs to the group {} instead of {wanted}", names::group(found.gid())),
            (None, None) => return None,
        };
        Some(format!("{shown} {text}; {fix}"))
    }

    /// Returns the folders that keep those away from the socket who are to use it.
    fn closed_folders(&self, path: &Path) -> Vec<String> {
        let ListenSocket { user, group, mode, .. } = self.socket;
        let (user, group) = (user.as_deref(), group.as_deref());
        let mut problems = Vec::new();
        if let Some(name) = group
            && mode & 0o020 == 0
        {
            let text = format!("the group {name} may not write to it (mode {mode:04o}); set mode = \"0660\"");
            problems.push(text);
        }
        for folder in path.ancestors().skip(1) {
            let Ok(found) = fs::metadata(folder) else { continue };
            let user_enters = user.and_then(system_ids::of_user).map(|uid| may_enter(&found, Some(uid), None));
            let group_enters = group.and_then(group_id).map(|gid| may_enter(&found, None, Some(gid)));
            let whom = match (user_enters, group_enters) {
                (Some(false), Some(false) | None) => format!("the user {}", user.unwrap_or_default()),
                (None, Some(false)) => format!("the group {}", group.unwrap_or_default()),
                _ => continue,
            };
            let (shown, mode) = (folder.display(), found.mode() & 0o7777);
            problems.push(format!("{whom} may not enter the folder {shown} (mode {mode:04o}); run chmod a+x {shown}"));
        }
        problems
    }

    /// Connects, and compares what the socket says.
    fn ask(&self, config: &Config) -> Result<(), String> {
        let address = &self.socket.address;
        let until = Instant::now() + PATIENCE;
        let stream = match address {
            ListenAddress::Unix(path) => {
                let stream = connect_to_file(path).map_err(|error| unconnected(address, error.into()))?;
                is_trusted(&stream, config).map_err(|text| format!("{address}: {text}"))?;
                stream
            }
            ListenAddress::Tcp(port) => {
                TcpStream::connect_timeout(port, PATIENCE).map_err(|error| unconnected(address, error))?.into()
            }
        };
        let mut stream = File::from(stream);
        let said = match self.spoken {
            Spoken::Policy => return Ok(()),
            Spoken::Tables => {
                stream.write_all(NO_TABLE).map_err(|error| format!("{address} takes no request: {error}"))?;
                read_until(&mut stream, until, |said| said.ends_with(b","))
            }
            Spoken::Logins => read_until(&mut stream, until, |said| said.ends_with(b"\nDONE\n")),
            Spoken::LookUps => read_until(&mut stream, until, |said| {
                said.ends_with(b"\n") && (said.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"SPID\t")))
            }),
        };
        let said = said.map_err(|text| format!("{address} {text}"))?;
        judge(self.spoken, &said, &config.dovecot.mechanisms).map_err(|text| format!("{address} {text}"))
    }
}

fn group_id(name: &str) -> Option<u32> {
    name.parse().ok().or_else(|| system_ids::group(name).ok().flatten())
}

/// Returns whether a user, or a member of a group, may enter a folder. The owner of the folder counts as a member of its
/// own group: Postfix's folder `private` has no group that may enter it.
fn may_enter(folder: &Metadata, uid: Option<u32>, gid: Option<u32>) -> bool {
    let (mode, owner) = (folder.mode(), folder.uid());
    let groups = |uid| system_ids::user_with_id(uid).ok().flatten().map(|user| user.gid);
    let is_owner = uid == Some(owner) || gid.is_some_and(|gid| groups(owner) == Some(gid));
    let is_member = gid.or(uid.and_then(groups)) == Some(folder.gid());
    uid == Some(0) || is_owner && mode & 0o100 != 0 || is_member && mode & 0o010 != 0 || mode & 0o001 != 0
}

/// Connects without waiting.
fn connect_to_file(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::io::ioctl_fionbio(&socket, false)?;
    Ok(socket)
}

fn unconnected(address: &ListenAddress, error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("no program listens on {address}; start mailauth-courier"),
        io::ErrorKind::PermissionDenied => {
            format!("this user may not connect to {address}; run this command as root")
        }
        io::ErrorKind::WouldBlock => format!("too many clients wait at {address}; see the log of mailauth-courier"),
        _ => format!("cannot connect to {address}: {error}"),
    }
}

/// Fails if another user than root or that of the daemon listens.
fn is_trusted(stream: &OwnedFd, config: &Config) -> Result<(), String> {
    let Ok(peer) = socket_peercred(stream) else { return Ok(()) };
    let uid = peer.uid.as_raw();
    match uid == 0 || uid == geteuid().as_raw() || system_ids::of_user(config.server_user()) == Some(uid) {
        true => Ok(()),
        false => Err(format!(
            "a program of the user {} listens instead of mailauth-courier; stop it (process {})",
            names::user(uid),
            peer.pid.as_raw_nonzero()
        )),
    }
}

/// Reads until `is_whole`.
fn read_until(stream: &mut File, until: Instant, is_whole: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, String> {
    let (mut said, mut buffer) = (Vec::new(), [0; 1024]);
    while !is_whole(&said) && said.len() < MAX_SAID {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        set_socket_timeout(&*stream, Timeout::Recv, Some(left)).map_err(|error| format!("cannot be read: {error}"))?;
        match stream.read(&mut buffer) {
            Ok(0) => {
                return Err("closes the connection: see [dovecot] max_connections, and the daemon's log".to_owned());
            }
            Ok(count) => said.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(format!("does not answer within {} s; restart mailauth-courier", PATIENCE.as_secs()));
            }
            Err(error) => return Err(format!("cannot be read: {error}")),
        }
    }
    Ok(said)
}

/// Compares what a socket says with what it should say.
fn judge(spoken: Spoken, said: &[u8], mechanisms: &[String]) -> Result<(), String> {
    let said = String::from_utf8_lossy(said);
    let other =
        || Err("speaks another protocol; give each key a path of its own, and restart mailauth-courier".to_owned());
    let announced: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("MECH\t")?.split('\t').next()).collect();
    match spoken {
        Spoken::Logins if !said.starts_with("VERSION\t1\t") || announced.is_empty() => other(),
        Spoken::Logins if announced != mechanisms => Err(format!(
            "announces {} instead of {}, the [dovecot] mechanisms; reload mailauth-courier",
            announced.join(" "),
            mechanisms.join(" ")
        )),
        Spoken::LookUps if !said.starts_with("VERSION\t1\t") || !announced.is_empty() => other(),
        Spoken::Tables if !said.contains(":PERM ") => other(),
        Spoken::Logins | Spoken::LookUps | Spoken::Tables | Spoken::Policy => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_socket_says_is_compared_with_its_key() {
        let mechanisms = ["PLAIN".to_owned(), "LOGIN".to_owned()];
        let logins =
            "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t7\nCUID\t1\nCOOKIE\tab\nDONE\n";
        let lookups = "VERSION\t1\t1\nSPID\t7\n";
        let tables = "21:PERM no such map; .., ";
        for (spoken, right) in [(Spoken::Logins, logins), (Spoken::LookUps, lookups), (Spoken::Tables, tables)] {
            for said in [logins, lookups, tables] {
                assert_eq!(judge(spoken, said.as_bytes(), &mechanisms).is_ok(), said == right, "{spoken:?}: {said}");
            }
        }
        let text = judge(Spoken::Logins, logins.as_bytes(), &mechanisms[..1]).unwrap_err();
        assert_eq!(text, "announces PLAIN LOGIN instead of PLAIN, the [dovecot] mechanisms; reload mailauth-courier");
        let length = NO_TABLE.iter().position(|byte| *byte == b':').unwrap();
        assert_eq!(NO_TABLE.len() - length - 2, 20, "its length is that of its text");
    }
}
