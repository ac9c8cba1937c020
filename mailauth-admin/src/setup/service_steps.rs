//! The units of the daemon, where systemd runs.

use super::answers::Answers;
use super::configuration::Configuration;
use super::host_steps::{failed, run};
use super::plan::{Look, Step};
use super::program::Program;
use super::whole_file::{Access, write};
use crate::failure::Failure;
use mailauth_core::system_ids;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The daemon's unit, whose name decides whether the units have to be written.
const DAEMON: &str = "mailauth-courier.service";

/// The units of the packages, in the folder of which `units` is a link. The sockets stay open while the daemon restarts.
const UNITS: [(&str, &str); 3] = [
    (DAEMON, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/units/mailauth-courier.service"))),
    (SOCKET, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/units/mailauth-courier.socket"))),
    (
        "mailauth-mailboxes.service",
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/units/mailauth-mailboxes.service")),
    ),
];

/// The addition to Courier's unit, by which its servers use the daemon.
const COURIER: (&str, &str) = (
    "courier-authdaemon.service.d/mailauth.conf",
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/units/courier-authdaemon.service.d/mailauth.conf")),
);

/// The unit with the daemon's sockets.
const SOCKET: &str = "mailauth-courier.socket";

/// Where units of an administrator are.
const FOLDER: &str = "/etc/systemd/system";

/// Folders with the programs, of the packages and of `docs/install.md`.
const PROGRAMS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin"];

pub fn services() -> Box<dyn Step> {
    Box::new(Services)
}

/// The daemon's services.
struct Services;

/// What has to be done.
struct Work {
    files: Vec<(PathBuf, String)>,
    commands: Vec<String>,
}

impl Services {
    /// Returns what has to be done; `Err` with a reason if nothing can be.
    fn work(answers: &Answers, configuration: &Configuration) -> Result<Work, String> {
        let start = format!(
            "start mailauth-courier (and mailauth-mailboxes, as root) with --config {}",
            configuration.path.display()
        );
        if !Path::new("/run/systemd/system").is_dir() {
            return Err(format!("because systemd does not run here; {start}"));
        }
        let mut work = Work { files: Vec::new(), commands: Vec::new() };
        if !says("cat", DAEMON) {
            work.files = Self::files(answers, configuration).ok_or_else(|| {
                format!("because mailauth-courier is in none of {}; install it, and {start}", PROGRAMS.join(", "))
            })?;
            work.commands.push("systemctl daemon-reload".to_owned());
        }
        if configuration.is_changed() && says("is-active", DAEMON) {
            work.commands.push(format!("systemctl restart {DAEMON}"));
        }
        let is_new = !work.files.is_empty();
        let has_socket = is_new || says("cat", SOCKET);
        let wanted = [Some(SOCKET).filter(|_| has_socket), Some(DAEMON)].into_iter().flatten();
        let missing: Vec<_> =
            wanted.filter(|unit| is_new || !says("is-enabled", unit) || !says("is-active", unit)).collect();
        if !missing.is_empty() {
            work.commands.push(format!("systemctl enable --now {}", missing.join(" ")));
        }
        if is_new && work.files.len() > UNITS.len() {
            // Courier's own daemon gives up the socket.
            work.commands.insert(1, "systemctl stop courier-authdaemon".to_owned());
            work.commands.push("systemctl start courier-authdaemon".to_owned());
        }
        Ok(work)
    }

    /// Returns the units for the programs on this host; `None` if they are not found.
    fn files(answers: &Answers, configuration: &Configuration) -> Option<Vec<(PathBuf, String)>> {
        let beside = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
        let mut folders = PROGRAMS.into_iter().map(PathBuf::from).chain(beside);
        let programs = folders.find(|folder| folder.join("mailauth-courier").is_file())?;
        let has_group = matches!(system_ids::group("courier"), Ok(Some(_)));
        let for_here = |text: &str| {
            let text = text.replace("/usr/sbin/mailauth-", &format!("{}/mailauth-", programs.display()));
            let text = text.replace("/etc/mailauth/mailauth.toml", &configuration.path.display().to_string());
            if has_group { text } else { text.replace("Group=courier\n", "Group=mailauth\n") }
        };
        let asks = answers.programs.as_ref().is_some_and(|programs| programs.contains(&Program::Courier));
        let courier = Some(COURIER).filter(|_| asks && says("cat", "courier-authdaemon.service"));
        let folder = Path::new(FOLDER);
        Some(UNITS.into_iter().chain(courier).map(|(name, text)| (folder.join(name), for_here(text))).collect())
    }
}

/// Asks `systemctl`, and returns true if it says yes.
fn says(verb: &str, unit: &str) -> bool {
    let mut command = Command::new("systemctl");
    command.args(["--quiet", verb, unit]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Step for Services {
    fn name(&self) -> &'static str {
        "services"
    }

    fn look(&mut self, answers: &Answers, configuration: &Configuration) -> Result<Look, Failure> {
        Ok(match Self::work(answers, configuration) {
            Ok(Work { commands, .. }) if commands.is_empty() => Look::Done("the daemon is enabled and runs".to_owned()),
            Ok(Work { files, commands }) => {
                let written =
                    files.iter().map(|(path, _)| format!("write {} (as in packaging/systemd)", path.display()));
                Look::Todo(written.chain(commands).collect())
            }
            Err(why) => Look::Done(why),
        })
    }

    fn run(&mut self, answers: &Answers, configuration: &Configuration) -> Result<(), Failure> {
        let Work { files, commands } = Self::work(answers, configuration).map_err(Failure::no)?;
        for (path, text) in files {
            let folder = path.parent().unwrap_or(Path::new(FOLDER));
            let access = Access { mode: 0o644, uid: 0, gid: 0 };
            fs::create_dir_all(folder)
                .and_then(|()| write(&path, text.as_bytes(), access, true))
                .map_err(|error| failed(format!("write {}", path.display()), &error))?;
        }
        commands.iter().try_for_each(|line| run(line))
    }
}
