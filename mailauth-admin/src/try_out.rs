//! `mailauth try`: a demonstration of the whole product in a temporary folder.
//!
//! The server, the socket, the client and the database are the real ones. A client gets no reason for a no; the reasons
//! that are shown come from the decision log of the server, which this process reads.

mod decisions;

use crate::auth::ExplainedAnswer;
use crate::failure::{Exit, Failure};
use crate::output::{Table, say};
use clap::Args;
use decisions::{Decision, Decisions};
use mailauth_core::account::{AccountRow, Login, Password};
use mailauth_core::authenticate::{Authority, Request};
use mailauth_core::config::Config;
use mailauth_core::password::{self, NewScheme};
use mailauth_core::store::{Administration, DomainRow, open_single};
use mailauth_core::{Backend, Service, Services};
use mailauth_courier::process::signals::Signals;
use mailauth_courier::{Daemon, Listener, Settings};
use mailauth_protocol::client::Client;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

/// Logins and passwords of the accounts. Ben may use only POP3.
const ANNA: (&str, &str) = ("anna@example.org", "annas-secret");
const BEN: (&str, &str) = ("ben@example.org", "bens-secret");

/// Maximum time to wait for an answer, and for its line in the log.
const PATIENCE: Duration = Duration::from_secs(10);

/// Debian's user `nobody`, which owns the mail when root runs this command, because mail never belongs to root.
const NOBODY: u32 = 65_534;

/// Demonstrate mailauth with a database, a server and four logins in a temporary folder
///
/// Creates an SQLite database with a domain and two accounts in a temporary folder, starts the real server on a socket
/// there, and sends four logins: a right password, a wrong one, an unknown login, and a service that the account may not
/// use. Then it keeps running until Ctrl-C, and removes the folder.
#[derive(Args)]
pub struct Try {
    /// End after the four logins
    #[arg(long)]
    once: bool,
}

/// A login to send, and the expected answer.
struct Scene {
    title: &'static str,
    login: &'static str,
    password: &'static str,
    service: Service,
    answer: &'static str,
}

fn scenes() -> [Scene; 4] {
    let scene = |title, login, password, service, answer| Scene { title, login, password, service, answer };
    [
        scene("the right password", ANNA.0, ANNA.1, Service::Imap, "yes"),
        scene("a wrong password", ANNA.0, "guessed", Service::Imap, "no"),
        scene("an unknown login", "nobody@example.org", "guessed", Service::Imap, "no"),
        scene("a forbidden service", BEN.0, BEN.1, Service::Imap, "no"),
    ]
}

impl Try {
    pub fn run(self) -> Result<Exit, Failure> {
        // This comes before there are other threads, so that all of them leave signals to this one.
        let signals = Signals::block().map_err(|error| trouble("cannot wait for signals", error))?;
        let decisions = Decisions::follow().map_err(|error| trouble("cannot follow the log", error))?;
        let stage = Stage::build()?;
        say(format_args!(
            "created {}: a database with the domain example.org and two accounts, and a server\n",
            stage.folder.path().display()
        ))?;
        let as_expected = show(&stage.config.courier.socket, &decisions)?;
        if !self.once {
            say(stage.invitation())?;
            std::thread::spawn(move || decisions.print());
            signals.wait();
        }
        stage.clear()?;
        match as_expected {
            true => Ok(Exit::Yes),
            false => Err(Failure::no("an answer was not the expected one; please report this")),
        }
    }
}

/// Sends the logins and prints the answers. Returns true if all answers were as expected.
fn show(socket: &Path, decisions: &Decisions) -> Result<bool, Failure> {
    let client = Client::new(socket, PATIENCE);
    let mut table = Table::new(["SENT", "LOGIN", "SERVICE", "ANSWER", "REASON (from the server's log)", "µs"]);
    let mut right = true;
    for scene in scenes() {
        let begin = Instant::now();
        let request = Request::password(scene.service.clone(), scene.login, scene.password);
        let answer = client.authenticate(Request { deadline: begin + PATIENCE, ..request });
        let took = begin.elapsed().as_micros().to_string();
        let answered = ExplainedAnswer::new(&answer);
        // The socket transmits no reason. It is in the log, unless the daemon came to no decision.
        let Decision { answer: logged, reason, login, .. } =
            decisions.next(PATIENCE).unwrap_or_else(|| Decision { reason: answered.reason, ..Decision::default() });
        right &= answered.answer == scene.answer && logged == scene.answer && login == scene.login;
        table.row([scene.title, scene.login, scene.service.name(), answered.answer, &reason, &took]);
    }
    say(table)?;
    Ok(right)
}

/// The temporary folder, and the server in it.
struct Stage {
    folder: tempfile::TempDir,
    config_file: PathBuf,
    config: Config,
    server: Daemon,
}

impl Stage {
    fn build() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("mailauth-try-").tempdir();
        let folder = folder.map_err(|error| trouble("cannot create a temporary folder", error))?;
        let config_file = folder.path().join("mailauth.toml");
        fs::write(&config_file, configuration(folder.path()))
            .map_err(|error| trouble("cannot write the configuration", error))?;
        let (config, _) = Config::load(Some(&config_file))?;
        fill(&config)?;
        let backend = Backend::open(&config)?;
        let cannot = "cannot start the server";
        let listener = Listener::bind(&config.courier).map_err(|error| trouble(cannot, error))?;
        let server =
            Daemon::start(listener, Settings::new(&config), backend).map_err(|error| trouble(cannot, error))?;
        Ok(Stage { folder, config_file, config, server })
    }

    /// Returns the commands to try next.
    fn invitation(&self) -> String {
        // The full path is shown, because the program need not be on the PATH.
        let program = env::current_exe().map_or_else(|_| "mailauth".into(), |path| quoted(&path));
        let mailauth = format!("{program} --config {}", quoted(&self.config_file));
        let socket = &self.config.courier.socket;
        let raw = raw_client(socket).map(|command| format!("  {command}\n")).unwrap_or_default();
        let (anna, annas) = ANNA;
        format!(
            "\nThe server keeps running. Try it in another terminal (the password is {annas}):\n\n  \
             {mailauth} auth {anna} --service imap --socket {}\n{raw}  \
             {mailauth} account list\n  \
             {mailauth} check\n  \
             {mailauth} account set {anna} --services pop3\n\n\
             Every decision is shown here. Ctrl-C stops the server and removes the folder.",
            quoted(socket)
        )
    }

    fn clear(self) -> Result<(), Failure> {
        self.server.stop();
        self.folder.close().map_err(|error| trouble("cannot remove the temporary folder", error))
    }
}

fn trouble(what: &str, error: impl Display) -> Failure {
    Failure::not_now(format!("{what}: {error}"))
}

fn configuration(folder: &Path) -> String {
    let text = |name: &str| toml_text(&folder.join(name).display().to_string());
    let own = |id: u32| if id == 0 { NOBODY } else { id };
    let uid = own(rustix::process::geteuid().as_raw());
    let gid = own(rustix::process::getegid().as_raw());
    let url = toml_text(&format!("sqlite:{}", folder.join("mail.db").display()));
    let home = text("mail").replace('%', "%%").trim_end_matches('"').to_owned() + "/%d/%n\"";
    let socket = text("socket");
    format!(
        "[database]\nurl = {url}\n\n[mailbox]\nhome = {home}\nuid = {uid}\ngid = {gid}\n\n\
         [courier]\nsocket = {socket}\nsocket_mode = \"0600\"\n"
    )
}

/// Returns a text as a TOML string, which has the escapes of JSON.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Creates the tables, the domain and the accounts.
fn fill(config: &Config) -> Result<(), Failure> {
    let store = open_single(&config.database)?;
    store.init()?;
    store.add_domain(&DomainRow { description: Some("to try out".into()), ..DomainRow::new("example.org") })?;
    for ((login, password), services, name) in [(ANNA, "", "Anna"), (BEN, "pop3", "Ben")] {
        let login = Login::parse(login.as_bytes(), None).map_err(|error| Failure::usage(error.to_string()))?;
        let hash = password::hash(NewScheme::default(), password.as_bytes());
        let hash = hash.map_err(|error| Failure::not_now(error.to_string()))?;
        let services = Services::parse(services).map_err(|error| Failure::usage(error.to_string()))?;
        let row = AccountRow { password: Password(hash), services, name: Some(name.into()), ..AccountRow::new(login) };
        store.add_account(&row)?;
    }
    Ok(())
}

/// Returns a path quoted for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Returns a command that looks up an account by hand, if a program is installed that can connect to a Unix socket.
fn raw_client(socket: &Path) -> Option<String> {
    let request = format!("printf 'PRE . imap {}\\n'", ANNA.0);
    let socket = quoted(socket);
    let here = |program: &str| {
        env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
    };
    if here("socat") {
        return Some(format!("{request} | socat - UNIX-CONNECT:{socket}"));
    }
    // Not every program called nc supports Unix sockets.
    let help = Command::new("nc").arg("-h").stdin(Stdio::null()).output().ok()?;
    let knows = |text: &[u8]| String::from_utf8_lossy(text).contains("-U");
    let usable = here("nc") && (knows(&help.stdout) || knows(&help.stderr));
    usable.then(|| format!("{request} | nc -U {socket}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_valid_for_a_folder_with_special_characters() {
        let folder = Path::new("/tmp/a 100% \"strange\" \\ folder");
        let config = Config::parse(&configuration(folder), Path::new("mailauth.toml")).unwrap();
        assert_eq!(config.courier.socket, folder.join("socket"));
        assert_eq!(config.mailbox.home, "/tmp/a 100%% \"strange\" \\ folder/mail/%d/%n");
    }

    #[test]
    fn a_path_is_quoted_for_the_shell() {
        assert_eq!(quoted(Path::new("/tmp/x-1.y")), "/tmp/x-1.y");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }
}
