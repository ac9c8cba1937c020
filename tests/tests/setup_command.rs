//! `mailauth setup` on a host of its own, with the real database servers.

use mailauth_tests::{
    Booted, Family, MariaDb, Postgres, Scratch, Server, ended, eventually, on_a_terminal, output_with_input, program,
    run,
};
use rustix::process::{Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const ANNA: &str = "anna@example.org";
const PASSWORD: &str = "correct horse";
const PASSWORD_FILES: [&str; 2] = ["/etc/mailauth/database.password", "/etc/mailauth/admin.password"];
const CONFIG: &str = "/etc/mailauth/mailauth.toml";

/// A host whose users, configuration, mail and daemon are its own, and on which mailauth was never set up.
struct Host {
    folder: Scratch,
    family: Family,
}

/// Folders of the host that are its own, with their names in the test's folder.
const FOLDERS: [(&str, &str); 4] = [("/etc", "etc"), ("/var/lib", "lib"), ("/var/mail", "mail"), ("/run", "run")];

impl Host {
    fn new() -> Self {
        let folder = Scratch::new("setup");
        let top = folder.path().display();
        for (_, name) in &FOLDERS[1..] {
            fs::create_dir(folder.join(name)).expect("a folder");
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("its mode");
        }
        run(Command::new("cp").args(["--archive", "/etc"]).arg(folder.path()));
        let _ = fs::remove_dir_all(folder.join("etc/mailauth"));
        let mut prelude = FOLDERS.map(|(path, name)| format!("mount --bind {top}/{name} {path}")).join("\n");
        prelude.push_str(
            "\nsed -i '/^mailauth:/d;/^vmail:/d' /etc/passwd /etc/group /etc/shadow /etc/gshadow\n\
             useradd --system --user-group --no-create-home Debian-exim 2>/dev/null || true\n",
        );
        let family = Family::spawn(&prelude, None, &["sleep", "infinity"], &folder.join("log"));
        let host = Host { folder, family };
        eventually("the host's own files", Duration::from_secs(20), || {
            let listed = host.command("ls").arg("/var/lib").output().expect("ls");
            listed.status.success() && listed.stdout.is_empty()
        });
        host
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.family.command(program);
        command.env_remove("MAILAUTH_CONFIG");
        command
    }

    fn mailauth(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(program("mailauth"));
        command.args(arguments);
        command
    }

    /// Runs `mailauth setup` with Anna's account and returns what it said.
    #[track_caller]
    fn setup(&self, arguments: &[&str], code: i32) -> String {
        let usual = ["setup", "--account", ANNA, "--password-stdin", "--yes", "--programs", "exim"];
        ended(&output_with_input(self.mailauth(&usual).args(arguments), PASSWORD), code)
    }

    fn path(&self, path: &str) -> PathBuf {
        let (top, name) = FOLDERS.into_iter().find(|(top, _)| path.starts_with(top)).expect("a folder of the host");
        self.folder.join(name).join(path.trim_start_matches(top).trim_start_matches('/'))
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect(path)
    }

    /// Returns the mode and the names of the owner and group of a file.
    fn access(&self, path: &str) -> String {
        run(self.command("stat").args(["--format=%a %U:%G", path])).trim().to_owned()
    }

    /// Returns the content and access of all files that a setup writes.
    fn files(&self) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
        let mut files = BTreeMap::new();
        for path in ["/etc/mailauth", "/etc/passwd", "/etc/group", "/var/lib", "/var/mail"] {
            add_files(&self.path(path), &mut files);
        }
        files
    }

    /// Returns those of a host on which nothing was set up.
    fn files_without_mailauth(&self) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
        let mut files = BTreeMap::new();
        ["/etc/passwd", "/var/lib", "/var/mail"].iter().for_each(|path| add_files(&self.path(path), &mut files));
        assert!(!self.path("/etc/mailauth").exists());
        files
    }

    /// Starts the daemon as its unit does, and checks that everything is ok and Anna can log in by it.
    fn serve(&self) -> Daemon<'_> {
        let folders = ["/run/mailauth", "/run/courier", "/run/courier/authdaemon"];
        run(self.command("install").args(["-d", "-o", "mailauth", "-g", "mailauth"]).args(folders));
        let mut mailboxes = self.command("setpriv");
        mailboxes.args(["--regid=mailauth", "--clear-groups"]).arg(program("mailauth-mailboxes"));
        run(self.command("install").args(["-d", "-g", "mailauth", "-m", "750", "/run/mailauth-mailboxes"]));
        mailboxes.args(["--config", CONFIG, "--user", "mailauth"]);
        let mut courier = self.command("setpriv");
        courier.args(["--reuid=mailauth", "--regid=mailauth", "--init-groups"]).arg(program("mailauth-courier"));
        courier.args(["--config", CONFIG]);
        let log = fs::File::create(self.folder.join("daemon")).expect("a log");
        let processes = [mailboxes, courier].map(|mut command| {
            command.stdout(log.try_clone().expect("a log")).stderr(log.try_clone().expect("a log"));
            mailauth_tests::Child::spawn(command)
        });
        let daemon = Daemon { host: self, _processes: processes };
        let begin = std::time::Instant::now();
        loop {
            let said = output_with_input(&mut self.mailauth(&["check"]), "");
            if said.status.success() {
                return daemon;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "{}{}",
                String::from_utf8_lossy(&said.stdout),
                fs::read_to_string(self.folder.join("daemon"))
                    .unwrap_or_default()
                    .lines()
                    .filter(|line| !line.contains("mailauth-check@"))
                    .collect::<Vec<_>>()
                    .join("\n")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

struct Daemon<'h> {
    host: &'h Host,
    _processes: [mailauth_tests::Child; 2],
}

impl Daemon<'_> {
    /// Logs in by the daemon, and returns the exit code of the answer.
    #[track_caller]
    fn answers(&self, password: &str, code: i32) {
        let arguments = ["auth", ANNA, "--password-stdin", "--socket", "/run/mailauth/socket"];
        ended(&output_with_input(&mut self.host.mailauth(&arguments), password), code);
    }
}

fn add_files(path: &Path, files: &mut BTreeMap<PathBuf, (u32, u32, Vec<u8>)>) {
    let found = fs::symlink_metadata(path).expect("a file");
    let content = if found.is_file() { fs::read(path).expect("a file") } else { Vec::new() };
    files.insert(path.to_owned(), (found.mode(), found.uid(), content));
    if found.is_dir() {
        fs::read_dir(path).expect("a folder").for_each(|entry| add_files(&entry.expect("a file").path(), files));
    }
}

/// Asserts that the plan has nothing left to do.
#[track_caller]
fn assert_nothing_to_do(said: &str) {
    let steps: Vec<_> = said.lines().filter(|line| line.get(2..4) == Some(". ")).collect();
    assert!(steps.len() >= 8 && steps.iter().all(|line| line.contains(": nothing to do, ")), "{said}");
    assert!(!said.contains("done: "), "{said}");
}

#[test]
fn a_host_is_set_up_by_options_and_the_second_run_changes_nothing() {
    let host = Host::new();
    let before = host.files_without_mailauth();
    let said = host.setup(&["--database", "sqlite", "--dry-run"], 0);
    assert!(said.contains("url = \"sqlite:/var/lib/mailauth/mail.db\"") && !said.contains(PASSWORD), "{said}");
    assert_eq!(host.files_without_mailauth(), before, "--dry-run changes nothing");
    let said = host.setup(&["--database", "sqlite"], 0);
    assert!(said.contains("mailauth, without a daemon accepts the login of anna@example.org"), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    assert_eq!(host.access("/etc/mailauth/mailauth.toml"), "644 root:root");
    assert_eq!(host.access("/var/lib/mailauth"), "750 mailauth:mailauth");
    assert_eq!(host.access("/var/lib/mailauth/mail.db"), "640 mailauth:mailauth");
    assert_eq!(host.access("/var/mail/example.org/anna/Maildir/new"), "700 vmail:vmail");
    assert!(host.text(CONFIG).contains("allow_users = [\"Debian-exim\"]"), "{}", host.text(CONFIG));

    let first = host.files();
    assert_nothing_to_do(&host.setup(&["--database", "sqlite"], 0));
    assert_eq!(host.files(), first, "a second run changes nothing");
    let said = ended(&output_with_input(&mut host.mailauth(&["setup", "--yes"]), ""), 0);
    assert!(said.contains("domain: nothing to do, there are accounts already"), "{said}");

    let daemon = host.serve();
    daemon.answers(PASSWORD, 0);
    daemon.answers("wrong", 1);
    let said = host.setup(&[], 0);
    assert!(said.contains("the daemon accepts the login of anna@example.org"), "{said}");
    let wrong = ["setup", "--yes", "--account", ANNA, "--password-stdin"];
    let said = ended(&output_with_input(&mut host.mailauth(&wrong), "another one"), 1);
    assert!(said.contains("the daemon refuses the login of anna@example.org"), "{said}");
    drop(daemon);
}

#[test]
fn six_questions_and_a_confirmation_lead_to_a_login() {
    let host = Host::new();
    // The unchanged file of the package.
    fs::create_dir(host.path("/etc/mailauth")).expect("a folder");
    let packaged = include_str!("../../packaging/debian/mailauth.toml");
    fs::write(host.path(CONFIG), packaged).expect("a file");
    run(host.command("useradd").args(["--system", "--user-group", "vmail"]));
    run(host.command("sh").args(["-c", "getent group courier || groupadd --system courier"]));
    let terminal = |dialogue: &[(&str, &str)], code| {
        let mut command = host.command("setsid");
        command.args(["--ctty", "--wait"]).arg(program("mailauth")).arg("setup");
        let (exit, screen, echoes) = on_a_terminal(command, dialogue);
        assert!(exit == Some(code) && echoes, "{exit:?}: {screen}");
        screen
    };
    let questions = [
        ("or a URL [sqlite]: ", "sqlight\n"),
        ("or a URL [sqlite]: ", "\n"),
        ("Folder of the mail [/var/mail]: ", "/var/mail/virtual\n"),
        ("]: ", "exim\n"),
        ("whose mail this host accepts: ", "example.org\n"),
        ("first account [postmaster@example.org]: ", "anna@example.org\n"),
        ("Password of anna@example.org: ", "correct horse\n"),
        ("Repeat the password: ", "correct horse\n"),
    ];
    fs::write(host.path("/etc/hostname"), "host\n").expect("a name");
    let _ = fs::remove_file(host.path("/etc/mailname"));
    let refused = terminal(&[&questions[..], &[("[y/N]: ", "n\n")]].concat(), 1);
    assert!(refused.contains("nothing was changed") && host.text(CONFIG) == packaged, "{refused}");
    let screen = terminal(&[&questions[..], &[("[y/N]: ", "y\n")]].concat(), 0);
    assert!(screen.contains("+ home = \"/var/mail/virtual/%d/%n\"") && !screen.contains("correct horse"), "{screen}");
    let expected = packaged.replace("/var/mail/%d", "/var/mail/virtual/%d");
    let expected = expected.replace("\"courier\"\n", "\"courier\"\nallow_users = [\"Debian-exim\"]\n");
    assert_eq!(host.text(CONFIG), expected, "only what differs is changed, and comments are kept");
    assert_eq!(host.text("/etc/mailauth/mailauth.toml.old"), packaged);
    assert!(host.path("/var/mail/virtual/example.org/anna/Maildir/cur").is_dir());
}

#[test]
fn an_existing_configuration_is_kept_and_mistakes_come_at_once() {
    let host = Host::new();
    fs::create_dir(host.path("/etc/mailauth")).expect("a folder");
    let own = "# Ours.\n[database]\nurl = \"sqlite:/var/lib/own/accounts.db\" # on the fast disk\n\n\
               [mailbox]\nhome = \"/var/mail/%n.%d\"\n\n[log]\nlevel = \"warn\"\n";
    fs::write(host.path(CONFIG), own).expect("a file");
    let usual =
        ["setup", "--yes", "--account", "anna@", "--database", "postgres", "--mail", "/srv", "--programs", "qmail"];
    let said = ended(&output_with_input(&mut host.mailauth(&usual), ""), 2);
    let mistakes = ["--database: ", "--mail: ", "--programs: ", "--domain: ", "--account: "];
    assert!(mistakes.iter().all(|option| said.contains(option)), "{said}");
    let said =
        ended(&output_with_input(host.command("setsid").arg("--wait").arg(program("mailauth")).arg("setup"), ""), 2);
    assert!(["--domain: is missing", "--account: is missing"].iter().all(|line| said.contains(line)), "{said}");
    let all = ["setup", "--account", ANNA, "--password-stdin", "--programs", "none"];
    let mut without_a_terminal = host.command("setsid");
    without_a_terminal.arg("--wait").arg(program("mailauth")).args(all);
    let said = ended(&output_with_input(&mut without_a_terminal, PASSWORD), 2);
    assert!(said.contains("add --yes, or --dry-run; nothing was changed"), "{said}");
    assert_eq!(host.text(CONFIG), own);

    let said = host.setup(&["--database", "sqlite"], 0);
    assert!(said.contains("+ uid = \"vmail\"") && !said.contains("- "), "{said}");
    let expected = own.replace("%n.%d\"\n", "%n.%d\"\nuid = \"vmail\"\ngid = \"vmail\"\n");
    assert_eq!(host.text(CONFIG), format!("{expected}\n[courier]\nallow_users = [\"Debian-exim\"]\n"));
    assert_eq!(host.text("/etc/mailauth/mailauth.toml.old"), own);
    assert_eq!(host.access("/var/lib/own/accounts.db"), "640 mailauth:mailauth");
    assert_nothing_to_do(&host.setup(&[], 0));
}

#[test]
fn mariadb_is_set_up_by_its_unix_socket_also_after_an_interruption() {
    on_mysql(&MariaDb::start_new(), "ALTER USER root@localhost IDENTIFIED VIA unix_socket;");
}

#[test]
fn mysql_is_set_up_by_its_unix_socket_also_after_an_interruption() {
    on_mysql(&MariaDb::start_new_mysql(), "");
}

fn on_mysql(server: &MariaDb, before: &str) {
    let host = Host::new();
    server.admin(before);
    let url = format!("mysql://mailauth@localhost/mail_accounts?socket={}", server.socket().display());
    let options = ["--database", url.as_str()];
    // While the server accepts no changes, the setup stops in the middle, and says where.
    server.while_locked(|| {
        let said = host.setup(&options, 75);
        assert!(
            said.contains(" of 11, database: ") && said.contains("done before it: system users, folders"),
            "{said}"
        );
        assert!(said.contains("run 'mailauth setup' again") && !host.path(CONFIG).exists(), "{said}");
    });
    let passwords = PASSWORD_FILES.map(|path| host.text(path));
    let said = host.setup(&options, 0);
    assert!(passwords.iter().all(|password| password.len() > 32 && !said.contains(password.trim())), "{said}");
    assert_eq!(host.access("/etc/mailauth/database.password"), "640 root:mailauth");
    assert_eq!(host.access("/etc/mailauth/admin.password"), "600 root:root");
    let state = || {
        let dump = "SELECT login, password, updated_at FROM mail_accounts.accounts; SHOW GRANTS FOR mailauth@localhost;
                    SHOW GRANTS FOR mailauth_admin@localhost;";
        (server.admin(dump), host.files())
    };
    let first = state();
    assert_nothing_to_do(&host.setup(&options, 0));
    assert_eq!(state(), first, "a second run changes nothing");
    let daemon = host.serve();
    daemon.answers(PASSWORD, 0);
    daemon.answers("wrong", 1);
    drop(daemon);

    // Tables of another program are not mixed with ours.
    server.admin("CREATE DATABASE groupware; CREATE TABLE groupware.users (id INT);");
    let other = Host::new();
    let said =
        other.setup(&["--database", &url.replace("mailauth@", "group@").replace("mail_accounts", "groupware")], 1);
    assert!(said.contains("with tables of another program") && !other.path(CONFIG).exists(), "{said}");

    // Another host must not take away the password of this one.
    let said = other.setup(&options, 1);
    assert!(said.contains("the server has a user mailauth_admin already") && !other.path(CONFIG).exists(), "{said}");
    server.stop();
    let said = other.setup(&options, 75);
    assert!(said.contains("cannot be reached") && said.contains("nothing was changed"), "{said}");
    assert!(!other.path("/etc/mailauth").exists());
}

#[test]
fn postgresql_is_set_up_as_its_own_system_user_or_by_hand() {
    let server = Postgres::start_new();
    let file = server.admin("SHOW hba_file");
    let let_in = |administrator: &str| {
        let rules = format!(
            "local all postgres {administrator}\nlocal all all reject\nhost all all 127.0.0.0/8 scram-sha-256\n"
        );
        fs::write(file.trim(), rules).expect("its access rules");
        kill_process(server.pid(), Signal::HUP).expect("the server");
        let root = || {
            Command::new("psql")
                .args(["--username=postgres", "--command=SELECT 1", "--host"])
                .arg(server.socket())
                .output()
        };
        let is_let_in = administrator == "trust";
        eventually("the new rules", Duration::from_secs(20), || {
            root().is_ok_and(|said| said.status.success() == is_let_in)
        });
    };
    let socket = server.socket().display().to_string();
    let at = |name: &str| format!("postgres://{name}@127.0.0.1:{}/{name}", server.port());

    // A server that lets no administrator in by its socket: the statements are run by hand.
    let_in("reject");
    let (host, url) = (Host::new(), at("mail"));
    let options = ["--database", url.as_str(), "--administrator-socket", socket.as_str()];
    let said = host.setup(&options, 1);
    assert!(
        said.contains(" of 11, database: ") && said.contains("run the statements above as an administrator"),
        "{said}"
    );
    let passwords = PASSWORD_FILES.map(|file| host.text(file).trim().to_owned());
    assert!(passwords.iter().all(|password| password.len() > 32 && !said.contains(password)), "{said}");
    let statements: Vec<_> = said.lines().filter(|line| line.starts_with("CREATE ")).collect();
    assert_eq!(statements.len(), 3, "{said}");
    let_in("trust");
    for statement in statements {
        let files = PASSWORD_FILES.iter().zip(&passwords);
        server.admin(
            &files.fold(statement.to_owned(), |sql, (file, is)| sql.replace(&format!("(content of {file})"), is)),
        );
    }
    let_in("reject");
    let said = host.setup(&options, 0);
    assert!(said.contains("database: nothing to do, ") && said.contains("done: rights"), "{said}");

    // Debian's rules: the system user postgres is the administrator.
    let_in("peer");
    let (host, url) = (Host::new(), at("second"));
    let options = ["--database", url.as_str(), "--administrator-socket", socket.as_str()];
    host.setup(&options, 0);
    let first = host.files();
    assert_nothing_to_do(&host.setup(&options, 0));
    assert_eq!(host.files(), first, "a second run changes nothing");
    let daemon = host.serve();
    daemon.answers(PASSWORD, 0);
    daemon.answers("wrong", 1);
}

#[test]
fn systemd_gets_the_units_that_no_package_has_made() {
    let programs = program("mailauth").parent().expect("a folder").to_owned();
    let booted = Booted::with(&[(&*programs, "/opt/programs")]);
    booted.shell("rm -rf /etc/mailauth /var/lib/mailauth; install -m 755 /opt/programs/mailauth* /usr/local/bin/");
    let setup = "echo 'correct horse' | mailauth setup --yes --database sqlite --account anna@example.org --programs none \
                 --password-stdin 2>&1";
    let setup = format!("PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; {setup}");
    let said = booted.shell(&setup);
    assert!(said.contains("done: services"), "{said}");
    assert!(said.contains("the daemon accepts the login of anna@example.org") && !said.contains("degraded"), "{said}");
    let said = booted.shell(&setup);
    assert_nothing_to_do(&said);
    assert_eq!(booted.property("mailauth-courier.service", "UnitFileState"), "enabled");
    assert_eq!(booted.property("mailauth-courier.service", "User"), "mailauth");
}
