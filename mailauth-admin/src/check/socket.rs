//! What `mailauth check` reports about the daemon's sockets.

use super::findings::{Findings, State};
use mailauth_core::Service;
use mailauth_core::answer::{NotNow, Refusal};
use mailauth_core::authenticate::{Authority, Credential, Request};
use mailauth_core::config::Config;
use mailauth_protocol::client::Client;
use mailauth_protocol::status::Status;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Maximum time to wait for the answer of the daemon.
const PATIENCE: Duration = Duration::from_secs(5);

/// A login that no account has: RFC 2606 reserves this top-level domain.
pub(super) const UNKNOWN: &str = "mailauth-check@unknown.invalid";

/// Name of our daemon.
const OURS: &str = "mailauth-courier";

/// Maximum length of the short name of a process in Linux, in bytes.
const SHORT: usize = 15;

/// Checks the sockets, and asks the daemon on them.
pub(super) fn look(config: &Config, findings: &mut Findings) {
    let courier = &config.courier;
    let Some(own) = &courier.own_socket else {
        let told = look_at(&courier.socket, "socket", config, findings);
        return mailboxes(told.as_deref(), config, findings);
    };
    if [own, &courier.socket].iter().all(|path| is_missing(path)) {
        let (own, courier) = (own.display(), courier.socket.display());
        let text = format!("there is neither {courier} nor {own}; start mailauth-courier");
        return findings.add("socket", State::Degraded, text);
    }
    let told = if is_missing(own) {
        let (shown, folder) = (own.display(), own.parent().unwrap_or(own).display());
        let text = format!(
            "there is no {shown}, so mailauth's own programs use {}; let the daemon create a socket in {folder} (with \
             systemd: RuntimeDirectory= of its unit), and see its log",
            courier.socket.display()
        );
        findings.add("own socket", State::Degraded, text);
        None
    } else {
        look_at(own, "own socket", config, findings)
    };
    let too = look_at(&courier.socket, "socket", config, findings);
    // The same daemon listens on both sockets.
    mailboxes(told.or(too).as_deref(), config, findings);
}

fn is_missing(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Checks one socket. Returns the status of the daemon, if it reports it to this user.
fn look_at(path: &Path, what: &'static str, config: &Config, findings: &mut Findings) -> Option<String> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => metadata,
        Ok(_) => {
            let text = format!("{shown} is not a socket; move it away, or choose another path in [courier]");
            findings.add(what, State::Degraded, text);
            return None;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.add(what, State::Degraded, format!("there is no {shown}; start mailauth-courier"));
            return None;
        }
        Err(error) => {
            let text = format!(
                "{shown} cannot be accessed: {error}; run this command as root, or as a user in the socket's group"
            );
            findings.add(what, State::Degraded, text);
            return None;
        }
    };
    let daemon = Client::new(path, PATIENCE).trusting(config.server_user());
    if let Some(text) = daemon.untrusted_listener(Instant::now() + PATIENCE) {
        findings.add(what, State::Down, text);
        return None;
    }
    // Only our daemon knows this request. It answers yes to some users, and no to all others that may connect.
    let told = match daemon.status(Instant::now() + PATIENCE) {
        Err(Refusal::NotNow(why)) => {
            let (state, text) = silent(path, &daemon, &why);
            findings.add(what, state, text);
            return None;
        }
        Ok(line) => Some(line),
        // The daemon reports its status only to root and its own user.
        Err(Refusal::No(_)) => None,
    };
    let (mode, wanted) = (metadata.permissions().mode() & 0o777, config.courier.socket_mode);
    // The other socket is open to all, and the daemon checks the user of each client.
    if *path == *config.courier.socket && mode & !wanted != 0 {
        let text = format!("{shown} has mode {mode:04o}, which is wider than {wanted:04o}; restart mailauth-courier");
        findings.add(what, State::Degraded, text);
    }
    let (state, text) = ask(path, &daemon);
    findings.add(what, state, text);
    told
}

/// Checks what the daemon reports about its user and about its access to mailboxes.
fn mailboxes(line: Option<&str>, config: &Config, findings: &mut Findings) {
    let Some(Ok(told)) = line.map(Status::parse) else { return };
    if let Some(why) = told.mailboxes_error {
        let text = format!("the daemon cannot access mailboxes, so mail for accounts with a quota is deferred: {why}");
        findings.add("mailboxes", State::Degraded, text);
    }
    if told.user == Some(0) && config.courier.user.is_none() {
        let text = "the daemon runs as root, which is not necessary: set [courier] user, or use the systemd units of the manual";
        findings.add("user", State::Ok, text);
    }
}

/// Asks for an account that does not exist.
fn ask(path: &Path, daemon: &Client) -> (State, String) {
    let shown = path.display();
    let answer = daemon.authenticate(Request {
        service: Service::Delivery,
        login: UNKNOWN.as_bytes().to_vec(),
        credential: Credential::Lookup,
        client: None,
        deadline: Instant::now() + PATIENCE,
    });
    match answer {
        Err(Refusal::No(_)) => (State::Ok, format!("{shown} answers")),
        Ok(_) => (State::Degraded, format!("{shown} answers, but has an account {UNKNOWN}; remove this account")),
        Err(Refusal::NotNow(why)) => (State::Degraded, why.to_string()),
    }
}

/// Returns the finding for a request that only our daemon knows and that got no answer, for the reason `why`.
fn silent(path: &Path, daemon: &Client, why: &NotNow) -> (State, String) {
    let shown = path.display();
    match listener(daemon) {
        Listener::Ours | Listener::Nothing => (State::Degraded, why.to_string()),
        Listener::Other { program, pid } => {
            let stop = match program.contains("authdaemond") {
                true => "which is Courier's authdaemond: systemctl disable --now courier-authdaemon",
                false => "and find out what starts it",
            };
            let text = format!(
                "{shown}: {program} listens on the socket instead of {OURS}; stop it (process {pid}, {stop}), and start {OURS}"
            );
            (State::Down, text)
        }
        Listener::Unknown(hint) => {
            (State::Degraded, format!("{why}; the program that listens on {shown} is unknown: {hint}"))
        }
    }
}

/// The program that listens on a socket.
#[derive(Debug, PartialEq, Eq)]
enum Listener {
    Ours,
    Other {
        program: String,
        pid: u32,
    },
    Unknown(&'static str),
    /// No program listens.
    Nothing,
}

fn listener(daemon: &Client) -> Listener {
    let pid = match daemon.listener(Instant::now() + PATIENCE) {
        Ok(0) => return Listener::Unknown("it runs in another container, or this command does; check there"),
        Ok(pid) => pid,
        Err(_) => return Listener::Nothing,
    };
    let process = Path::new("/proc").join(pid.to_string());
    let program = fs::read_link(process.join("exe")).ok().map(|program| program.to_string_lossy().into_owned());
    let short = || fs::read_to_string(process.join("comm")).ok().map(|name| name.trim_end().to_owned());
    match program.or_else(short) {
        Some(program) if is_ours(&program) => Listener::Ours,
        Some(program) => Listener::Other { program, pid },
        None => Listener::Unknown("run this command as root"),
    }
}

/// Returns true if `program`, as a path or as a short name, is our daemon.
fn is_ours(program: &str) -> bool {
    let path = program.strip_suffix(" (deleted)").unwrap_or(program);
    let name = path.rsplit('/').next().unwrap_or(path);
    name == OURS || (name.len() == SHORT && OURS.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_daemon_is_recognized_by_its_name_even_if_replaced_or_cut() {
        for ours in ["/usr/local/bin/mailauth-courier", "/x/mailauth-courier (deleted)", "mailauth-courie"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in
            ["/usr/lib/courier/courier-authlib/authdaemond", "mailauth", "mailauth-exim", "/mailauth-courier/x"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
