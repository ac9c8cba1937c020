//! Two users of the database: the daemon's in `[database]`, and that of the `mailauth` command in `[admin]`.

use mailauth_tests::{
    Accounts, Kind, Mailauth, Scratch, User, on_each_server_and_mysql, output_with_input, program, program_as,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Output};

on_each_server_and_mysql!(
    the_command_uses_the_rights_of_its_own_database_user,
    a_refused_change_names_the_role_and_the_section_admin,
    without_the_administrators_password_the_daemons_is_used,
    check_reports_both_users,
);

const ANNA: &str = "anna@example.org";

/// Accounts of a database with two users: a reader, and the one that created the tables.
struct Site {
    accounts: Accounts,
    folder: Scratch,
    daemon: String,
}

impl Site {
    fn new(kind: Kind) -> Self {
        let accounts = Accounts::empty(kind).with("login,password\nanna@example.org,{PLAIN}secret\n");
        let folder = Scratch::new("two-users");
        let daemon = format!("reader_of_{}", owner(&accounts));
        let reads = "accounts, domains, aliases, alias_domains, schema_version";
        match kind {
            Kind::Postgres => accounts.execute(&format!(
                "CREATE ROLE {daemon} LOGIN PASSWORD 'of the daemon'; GRANT SELECT ON {reads} TO {daemon};
                 GRANT UPDATE (password, updated_at, password_changed_at) ON accounts TO {daemon}"
            )),
            _ => {
                let grants: String =
                    reads.split(", ").map(|table| format!("GRANT SELECT ON {table} TO {daemon}@'%';")).collect();
                accounts.execute(&format!(
                    "CREATE USER {daemon}@'%' IDENTIFIED BY 'of the daemon'; {grants}
                     GRANT UPDATE (password, updated_at, password_changed_at) ON accounts TO {daemon}@'%'"
                ))
            }
        };
        let site = Site { accounts, folder, daemon };
        site.write("daemon.password", "of the daemon");
        site.write("admin.password", password(&site.accounts));
        site
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode");
        path
    }

    /// Returns the configuration, with these lines after `[admin]`.
    fn config(&self, admin: &str) -> String {
        let url = url_as(&self.accounts, &self.daemon);
        let password = self.folder.join("daemon.password");
        let socket = self.folder.join("socket");
        format!(
            "[mailbox]\nuid = 5000\ngid = 5000\n[outage]\nenabled = false\n[courier]\nsocket = '{}'\n[database]\nurl = \
             '{url}'\npassword_file = '{}'\n{admin}",
            socket.display(),
            password.display()
        )
    }

    fn admin_section(&self) -> String {
        let file = self.folder.join("admin.password");
        format!("[admin]\nurl = '{}'\npassword_file = '{}'\n", self.accounts.url(), file.display())
    }

    fn run(&self, config: &str, user: Option<User>, arguments: &[&str]) -> Output {
        let file = self.folder.join("mailauth.toml");
        fs::write(&file, config).expect("a configuration");
        let mut command = match user {
            None => Command::new(program("mailauth")),
            Some(user) => program_as(user, "mailauth"),
        };
        output_with_input(command.arg("--config").arg(&file).args(arguments).current_dir("/"), "")
    }

    /// Returns the output of a command that has to exit with this code.
    fn said(&self, config: &str, arguments: &[&str], code: i32) -> String {
        said(&self.run(config, None, arguments), code)
    }
}

fn said(output: &Output, code: i32) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).expect("text");
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn owner(accounts: &Accounts) -> &str {
    match accounts.kind() {
        Kind::Postgres => accounts.postgres().name(),
        _ => accounts.mariadb().name(),
    }
}

fn password(accounts: &Accounts) -> &str {
    match accounts.kind() {
        Kind::Postgres => accounts.postgres().password(),
        _ => accounts.mariadb().password(),
    }
}

fn url_as(accounts: &Accounts, user: &str) -> String {
    match accounts.kind() {
        Kind::Postgres => accounts.postgres().url_as(user),
        _ => accounts.mariadb().url_as(user),
    }
}

fn the_command_uses_the_rights_of_its_own_database_user(kind: Kind) {
    let site = Site::new(kind);
    let config = site.config(&site.admin_section());
    site.said(&config, &["init"], 0);
    site.said(&config, &["domain", "add", "x.example", "--quota", "1G"], 0);
    site.said(&config, &["account", "add", "b@x.example", "--no-password"], 0);
    site.said(&config, &["account", "set", ANNA, "--name", "Anna"], 0);
    site.said(&config, &["alias", "add", "info@x.example", "b@x.example"], 0);
    assert!(site.said(&config, &["account", "list"], 0).contains("b@x.example"));
    assert!(site.said(&config, &["quota", "recount", "--all"], 0).contains("2"));
    site.said(&config, &["account", "remove", "b@x.example"], 0);

    // The daemon needs only its own file, and decides as its own user.
    fs::remove_file(site.folder.join("admin.password")).expect("the file");
    let mut server = Mailauth::configured(|socket| {
        config.replace(&site.folder.join("socket").display().to_string(), &socket.display().to_string())
    });
    let word = mailauth_tests::wire::login(server.socket(), ANNA, "secret");
    assert_eq!(word.word(), "ACCOUNT", "{}", server.log());
    server.terminate();
    server.wait(std::time::Duration::from_secs(10));
}

fn a_refused_change_names_the_role_and_the_section_admin(kind: Kind) {
    let site = Site::new(kind);
    let told = site.said(&site.config(""), &["domain", "add", "x.example"], 75);
    let file = if kind == Kind::Postgres { "schema/grants.postgres.sql" } else { "schema/grants.mysql.sql" };
    let daemon = &site.daemon;
    let lacks = format!("the user {daemon} ([database] url) lacks a privilege of the role mailauth_writer in {file}");
    assert!(told.contains(&lacks), "{told}");
    assert!(told.contains("configure one with that role in [admin] url and password_file"), "{told}");
    site.said(&site.config(""), &["account", "list"], 0);
    let csv = site.write("accounts.csv", "login\nb@example.org\nc@new.example\n");
    let told = site.said(&site.config(""), &["account", "import", csv.to_str().expect("a path")], 75);
    assert!(told.contains(&lacks), "{told}");

    let file = site.folder.join("daemon.password");
    let itself = format!("[admin]\nurl = '{}'\npassword_file = '{}'\n", url_as(&site.accounts, daemon), file.display());
    let told = site.said(&site.config(&itself), &["account", "remove", ANNA], 75);
    assert!(
        told.contains("([admin] url) lacks a privilege") && told.contains("grant that role to this user"),
        "{told}"
    );
}

fn without_the_administrators_password_the_daemons_is_used(kind: Kind) {
    let site = Site::new(kind);
    let (config, nobody) = (site.config(&site.admin_section()), User::named("nobody"));
    chown(site.folder.join("daemon.password"), Some(nobody.uid), None).expect("its owner");
    let run = |arguments: &[&str], code| said(&site.run(&config, Some(nobody), arguments), code);
    assert!(run(&["account", "list"], 0).contains(ANNA));
    run(&["hash", "--help"], 0);
    let told = run(&["account", "remove", ANNA], 75);
    let wanted =
        ["the user in [admin] could not be used: [admin] password_file: ", "Permission denied", "the user nobody"];
    assert!(wanted.iter().all(|wanted| told.contains(wanted)), "{told}");

    // The other way round: the administrator need not be able to read the daemon's file.
    chown(site.folder.join("daemon.password"), Some(0), None).expect("its owner");
    chown(site.folder.join("admin.password"), Some(nobody.uid), None).expect("its owner");
    run(&["account", "set", ANNA, "--name", "Anna"], 0);
    chown(site.folder.join("admin.password"), Some(0), None).expect("its owner");
    let told = run(&["account", "list"], 2);
    assert!(told.contains("[database] password_file: ") && told.contains("[admin] password_file: "), "{told}");
}

fn check_reports_both_users(kind: Kind) {
    let site = Site::new(kind);
    let line = |told: &str, what: &str| {
        let of = |line: &&str| line.split_whitespace().nth(1) == Some(what);
        told.lines().find(of).unwrap_or_else(|| panic!("no {what} in {told}")).to_owned()
    };
    let told = site.said(&site.config(&site.admin_section()), &["check"], 1);
    assert!(line(&told, "rights").contains("those that a daemon needs, and no others"), "{told}");
    assert!(line(&told, "database").contains(&format!("//{}@", site.daemon)), "{told}");
    let admin = line(&told, "admin");
    assert!(admin.starts_with("ok") && admin.contains(&format!("//{}@", owner(&site.accounts))), "{told}");

    let reader = format!("{}_2", site.daemon);
    let of_daemon = site.folder.join("daemon.password");
    match kind {
        Kind::Postgres => site.accounts.execute(&format!(
            "CREATE ROLE {reader} LOGIN PASSWORD 'of the daemon'; GRANT SELECT ON accounts TO {reader}"
        )),
        _ => site.accounts.execute(&format!(
            "CREATE USER {reader}@'%' IDENTIFIED BY 'of the daemon'; GRANT SELECT ON accounts TO {reader}@'%'"
        )),
    };
    let url = url_as(&site.accounts, &reader);
    let weak = format!("[admin]\nurl = '{url}'\npassword_file = '{}'\n", of_daemon.display());
    let told = site.said(&site.config(&weak), &["check"], 1);
    let admin = line(&told, "admin");
    assert!(admin.contains("lacks the right to INSERT, UPDATE, DELETE on accounts; SELECT, "), "{told}");
    assert!(admin.contains("the role mailauth_writer of schema/grants."), "{told}");
    site.write("admin.password", "wrong");
    let told = site.said(&site.config(&site.admin_section()), &["check"], 1);
    let admin = line(&told, "admin");
    assert!(admin.starts_with("degraded") && admin.contains("in [admin] url with the server's users"), "{told}");
}

#[test]
fn an_invalid_section_admin_is_an_error_with_its_line() {
    let site = Site::new(Kind::MariaDb);
    for (admin, told) in [
        ("[admin]\npassword_file = '/p'\n", "[admin] password_file: has no effect without a user"),
        ("[admin]\nurl = 'postgres://a@localhost/mail'\n", "[admin] url: is for a different kind of server"),
        ("[admin]\nurl = 'sqlite:/x'\n", "[admin] url: SQLite has no users"),
        (
            "[admin]\nurl = 'mysql://a@localhost/other'\n",
            "[admin] url: names the database other, but [database] url names mail",
        ),
        ("[admin]\npassword = 'x'\n", "write only the password to a file"),
        ("[admin]\nurl = 'mysql://a:b@localhost/mail'\n", "[admin] url: "),
    ] {
        let said = site.said(&site.config(admin), &["account", "list"], 2);
        assert!(said.contains(told) && said.contains("mailauth.toml:1"), "{told} in {said}");
    }
    let missing = format!("[admin]\nurl = '{}'\npassword_file = '/nonexistent'\n", site.accounts.url());
    let said = site.said(&site.config(&missing), &["account", "list"], 2);
    assert!(said.contains("[admin] password_file: /nonexistent cannot be read: No such file"), "{said}");
    let two = site.config(&missing).replace("daemon.password", "missing.password");
    let said = site.said(&two, &["account", "list"], 2);
    assert!(said.contains("[admin] password_file: ") && said.contains("[database] password_file: "), "{said}");
}
