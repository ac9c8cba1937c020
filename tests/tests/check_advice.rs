//! The advice of `mailauth check`: what happened, where, and what to do, for each kind of problem.

use mailauth_tests::{
    Accounts, Courier, Kind, MariaDb, Postgres, Scratch, Server, User, free_port, on_each_server_and_mysql,
    output_with_input, program, program_as,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

on_each_server_and_mysql!(
    a_failed_connection_is_explained_with_what_to_do,
    an_unknown_user_or_database_is_explained_with_what_to_do,
    a_user_that_needs_tls_is_pointed_to_the_key_tls,
    an_administrator_in_the_url_is_advised_to_create_a_user,
    missing_rights_to_read_the_tables_are_listed,
);

#[test]
fn a_statement_aborted_by_postgresql_names_its_setting() {
    a_statement_aborted_by_the_server_names_the_setting(Kind::Postgres);
}

#[test]
fn a_statement_aborted_by_mariadb_names_its_setting() {
    a_statement_aborted_by_the_server_names_the_setting(Kind::MariaDb);
}

/// Runs `mailauth check` with this configuration, and returns its exit code and output.
fn check(config: &str) -> (i32, String) {
    check_as(None, config)
}

fn check_as(user: Option<User>, config: &str) -> (i32, String) {
    let folder = Scratch::new("check");
    let file = folder.join("mailauth.toml");
    fs::write(&file, config).expect("a configuration");
    let mut command = match user {
        None => Command::new(program("mailauth")),
        Some(user) => program_as(user, "mailauth"),
    };
    let output = output_with_input(command.arg("--config").arg(&file).arg("check").current_dir("/"), "");
    let said = String::from_utf8(output.stdout).expect("text") + &String::from_utf8(output.stderr).expect("text");
    (output.status.code().expect("an exit code"), said)
}

/// Returns the lines about `what`, for a database that is down.
fn down(what: &str, config: &str) -> String {
    let (code, said) = check(config);
    assert_eq!(code, 2, "{said}");
    lines(what, &said)
}

fn lines(what: &str, said: &str) -> String {
    let of = |line: &&str| line.split_whitespace().nth(1) == Some(what);
    said.lines().filter(of).collect::<Vec<_>>().join("\n")
}

fn contains_all(said: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(said.contains(wanted), "no {wanted:?} in:\n{said}");
    }
}

/// Returns a configuration with this URL and password.
fn config(folder: &Scratch, url: &str, password: &str) -> String {
    let file = folder.join("password");
    fs::write(&file, password).expect("a password file");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its mode");
    let socket = folder.join("no-daemon");
    format!(
        "[mailbox]\nuid = 5000\ngid = 5000\n[outage]\nenabled = false\n[courier]\nsocket = '{}'\n[database]\nurl = \
         '{url}'\npassword_file = '{}'\n",
        socket.display(),
        file.display()
    )
}

/// Returns the URL of the accounts' database over TCP, and its user's password.
fn by_tcp(accounts: &Accounts) -> (String, String) {
    match accounts.kind() {
        Kind::Postgres => (accounts.postgres().url_tcp("127.0.0.1"), accounts.postgres().password().to_owned()),
        _ => (accounts.mariadb().url_tcp("127.0.0.1"), accounts.mariadb().password().to_owned()),
    }
}

fn name(accounts: &Accounts) -> &str {
    match accounts.kind() {
        Kind::Postgres => accounts.postgres().name(),
        _ => accounts.mariadb().name(),
    }
}

fn scheme(kind: Kind) -> &'static str {
    if kind == Kind::Postgres { "postgres" } else { "mysql" }
}

fn a_failed_connection_is_explained_with_what_to_do(kind: Kind) {
    let folder = Scratch::new("advice");
    let scheme = scheme(kind);
    let told = |url: String| down("database", &config(&folder, &url, "secret"));
    let closed = told(format!("{scheme}://mail@127.0.0.1:{}/mail", free_port()));
    contains_all(&closed, &["refused", "nothing listens there; start the server, or correct [database] url"]);
    let missing = told(format!("{scheme}://mail@localhost/mail?socket=/nonexistent/sock"));
    contains_all(
        &missing,
        &["/nonexistent/sock", "there is no such socket; start the server, or correct [database] url"],
    );
    let unknown = told(format!("{scheme}://mail@nowhere.invalid/mail"));
    contains_all(&unknown, &["the host's name nowhere.invalid cannot be looked up", "correct it in the URL"]);
    assert!(!unknown.contains("start the server"), "{unknown}");

    let listener = UnixListener::bind(folder.join("silent")).expect("a socket");
    fs::create_dir(folder.join("run")).expect("a folder");
    let socket = match kind {
        Kind::Postgres => folder.join("run"),
        _ => folder.join("silent"),
    };
    let _other = UnixListener::bind(folder.join("run/.s.PGSQL.5432")).expect("a socket");
    let url = format!("{scheme}://mail@localhost/mail?socket={}", socket.display());
    let frozen = down("database", &(config(&folder, &url, "secret") + "deadline = '200ms'\n"));
    drop(listener);
    contains_all(&frozen, &["did not answer within 200 ms; it is frozen or overloaded", "raise [database] deadline"]);
    assert!(!frozen.contains("start the server"), "{frozen}");
}

fn an_unknown_user_or_database_is_explained_with_what_to_do(kind: Kind) {
    let folder = Scratch::new("advice");
    let accounts = Accounts::empty(kind);
    let (url, password) = by_tcp(&accounts);
    let told = |url: &str, password: &str| {
        let said = down("database", &config(&folder, url, password));
        assert!(!said.contains("start the server"), "{said}");
        said
    };
    let name = name(&accounts);
    let wrong = told(&url, "wrong");
    contains_all(&wrong, &[&format!("compare the user {name} in [database] url"), "[database] password_file"]);
    let whole = config(&folder, &url, "x");
    let without = down("database", whole.split("password_file").next().expect("a part"));
    contains_all(&without, &["no password was sent", "set [database] password_file to that file"]);
    let misspelt = told(&url.replacen(&format!("{name}@"), "malauth@", 1), &password);
    match kind {
        // It asks for a proof by a method that it derives from each name.
        Kind::MySql => {
            let refused = misspelt.contains("refused: no such user, or an unsupported plugin");
            assert!(refused || misspelt.contains("compare the user malauth"), "{misspelt}");
            assert!(!misspelt.contains("Unknown authentication protocol"), "{misspelt}");
        }
        _ => contains_all(&misspelt, &["compare the user malauth in [database] url with the server's users"]),
    }
    let missing = told(&format!("{}/nosuch", url.rsplit_once('/').expect("a path").0), &password);
    match kind {
        Kind::Postgres => contains_all(&missing, &["3D000", "CREATE DATABASE \"nosuch\"", "or correct [database] url"]),
        _ => contains_all(&missing, &["nosuch", "or correct [database] url"]),
    }
}

fn a_user_that_needs_tls_is_pointed_to_the_key_tls(kind: Kind) {
    let folder = Scratch::new("advice");
    let accounts = match kind {
        Kind::Postgres => Accounts::on_own_server(kind),
        _ => Accounts::empty(kind),
    };
    let (url, password) = by_tcp(&accounts);
    let name = name(&accounts);
    match kind {
        Kind::Postgres => {
            let file = accounts.execute("SHOW hba_file").trim().to_owned();
            let rules = fs::read_to_string(&file).expect("the server's rules");
            fs::write(&file, rules.replace("host all all", "hostssl all all")).expect("the server's rules");
            accounts.execute("SELECT pg_reload_conf()");
        }
        _ => drop(accounts.execute(&format!("ALTER USER {name}@'%' REQUIRE SSL"))),
    }
    let whole = config(&folder, &url, &password);
    mailauth_tests::eventually("the rule", std::time::Duration::from_secs(20), || check(&whole).0 == 2);
    let said = down("database", &whole);
    contains_all(&said, &["set [database] tls = \"verify-full\" and tls_ca"]);
    let authority = match kind {
        Kind::Postgres => accounts.postgres().server().certificates().authority.clone(),
        _ => accounts.mariadb().server().certificates().authority.clone(),
    };
    let (_, said) = check(&format!("{whole}tls = 'verify-full'\ntls_ca = '{}'\n", authority.display()));
    contains_all(&lines("database", &said), &["ok", "reached"]);
}

fn an_administrator_in_the_url_is_advised_to_create_a_user(kind: Kind) {
    let folder = Scratch::new("advice");
    let accounts = Accounts::empty(kind).with("login\nanna@example.org\n");
    let great = match kind {
        Kind::Postgres => accounts.postgres().url_as("postgres"),
        _ => accounts.mariadb().url_as("root"),
    };
    let whole = config(&folder, &great, "x").replace("password_file", "#");
    let (code, said) = check(&whole);
    assert_eq!(code, 1, "{said}");
    assert_eq!(lines("rights", &said).lines().count(), 1, "{said}");
    contains_all(&lines("rights", &said), &["degraded", "is an administrator (", "create a user for the daemon"]);
    assert!(!said.contains("REVOKE") && !said.contains("ALTER"), "{said}");
    let grants = if kind == Kind::Postgres { "schema/grants.postgres.sql" } else { "schema/grants.mysql.sql" };
    contains_all(&said, &[grants, "-- Then write into [database]  url = \"", "password_file", "[admin]  url = "]);

    // Users belong to the whole server, which other tests use too.
    let own = format!("daemon_of_{}", name(&accounts));
    let script = said.split_once("\n\n").expect("statements").1;
    let script = match kind {
        Kind::Postgres => {
            script.replace("ROLE mailauth", &format!("ROLE {own}")).replace("TO mailauth", &format!("TO {own}"))
        }
        _ => script.replace("`mailauth`", &format!("`{own}`")),
    };
    accounts.execute(&script);
    let url = script.split("url = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a URL");
    let (_, said) = check(&config(&folder, &url.replace("//mailauth@", &format!("//{own}@")), "a long password"));
    contains_all(&said, &["those that a daemon needs, and no others"]);
}

fn missing_rights_to_read_the_tables_are_listed(kind: Kind) {
    let folder = Scratch::new("advice");
    let accounts = Accounts::empty(kind).with("login\nanna@example.org\n");
    let own = format!("bare_of_{}", name(&accounts));
    let url = match kind {
        Kind::Postgres => {
            accounts.execute(&format!("CREATE ROLE {own} LOGIN PASSWORD 'secret'"));
            accounts.postgres().url_as(&own)
        }
        _ => {
            let statements =
                format!("CREATE USER {own}@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON aliases TO {own}@'%'");
            accounts.execute(&statements);
            accounts.mariadb().url_as(&own)
        }
    };
    let (code, said) = check(&config(&folder, &url, "secret"));
    assert_eq!(code, 2, "{said}");
    contains_all(&lines("schema", &said), &["this user may not read the tables", "schema_version"]);
    contains_all(&lines("rights", &said), &["the right to SELECT on accounts is missing", "the statements below"]);
    assert!(!said.contains("mailauth init"), "{said}");
    accounts.execute(said.split_once("\n\n").expect("statements").1);
    contains_all(&check(&config(&folder, &url, "secret")).1, &["those that a daemon needs, and no others"]);
}

fn a_statement_aborted_by_the_server_names_the_setting(kind: Kind) {
    let folder = Scratch::new("advice");
    let accounts = Accounts::empty(kind).with("login\nanna@example.org\n");
    let rows = "x.example', CONCAT('u', n, '@x.example')";
    let (url, password) = by_tcp(&accounts);
    let name = name(&accounts);
    let setting = match kind {
        Kind::Postgres => {
            accounts.execute(
                "INSERT INTO domains (name) VALUES ('x.example'); INSERT INTO accounts (domain, login)
                SELECT 'x.example', 'u' || n || '@x.example' FROM generate_series(1, 200000) n",
            );
            accounts.execute(&format!("ALTER ROLE {name} SET statement_timeout = '1ms'"));
            "statement_timeout"
        }
        _ => {
            accounts.execute(&format!(
                "INSERT INTO domains (name) VALUES ('x.example'); INSERT INTO accounts (domain, login) SELECT '{rows} \
                 FROM (SELECT seq AS n FROM seq_1_to_200000) s"
            ));
            accounts.execute(&format!("ALTER USER {name}@'%' WITH MAX_STATEMENT_TIME 0.0005"));
            "max_statement_time"
        }
    };
    let (code, said) = check(&config(&folder, &url, &password));
    assert!(code > 0, "{said}");
    assert!(said.contains(&format!("raise {setting}")), "{said}");
    assert!(!said.contains("did not answer within") && !said.contains("start the server"), "{said}");
}

#[test]
fn mariadbs_test_database_gets_one_line_of_advice() {
    let server = Box::leak(Box::new(MariaDb::start_new()));
    let database = server.database();
    server.admin(
        "CREATE DATABASE IF NOT EXISTS test; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER,
         CREATE TEMPORARY TABLES, LOCK TABLES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, EVENT, TRIGGER ON test.* TO PUBLIC",
    );
    let folder = Scratch::new("advice");
    let whole = config(&folder, &database.url(), database.password());
    let file = folder.join("mailauth.toml");
    fs::write(&file, &whole).expect("a configuration");
    mailauth_tests::run(Command::new(program("mailauth")).arg("--config").arg(&file).arg("init"));
    let (code, said) = check(&whole);
    assert_eq!(code, 1, "{said}");
    assert_eq!(lines("rights", &said).lines().count(), 1, "{said}");
    contains_all(&said, &["on test.* (granted to every user)", " ON `test`.* FROM PUBLIC;"]);
    database.execute_admin(said.split_once("\n\n").expect("statements").1);
    contains_all(&check(&whole).1, &["those that a daemon needs, and no others"]);
}

#[test]
fn authdaemond_on_the_socket_is_named_and_has_to_be_stopped() {
    let accounts = Accounts::empty(Kind::Sqlite).with("login\nanna@example.org\n");
    let courier = Courier::over(&accounts);
    let whole = format!("{}[courier]\nsocket = '{}'\n", accounts.config(), courier.socket().display());
    let (code, said) = check(&whole);
    assert_eq!(code, 2, "{said}");
    let line = lines("socket", &said);
    assert_eq!(line.lines().count(), 1, "{said}");
    contains_all(
        &line,
        &["down", "authdaemond listens on the socket instead of mailauth-courier; stop it", "courier-authdaemon"],
    );
    assert!(!said.contains("wider than") && !said.contains("restart mailauth-courier"), "{said}");
}

#[test]
fn any_other_program_on_the_socket_is_named() {
    let accounts = Accounts::empty(Kind::Sqlite);
    let folder = Scratch::new("advice");
    let socket = folder.join("socket");
    let listener = UnixListener::bind(&socket).expect("a socket");
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let (code, said) = check(&format!("{}[courier]\nsocket = '{}'\n", accounts.config(), socket.display()));
    assert_eq!(code, 2, "{said}");
    let own = std::env::current_exe().expect("our name");
    contains_all(&said, &[&format!("{} listens on the socket instead of mailauth-courier; stop it", own.display())]);
}

#[test]
fn advice_about_an_sqlite_file_mentions_no_server() {
    let folder = Scratch::new("advice");
    let socket = folder.join("no-daemon");
    let at = |path: &Path| {
        format!(
            "[outage]\nenabled = false\n[courier]\nsocket = '{}'\n[database]\nurl = 'sqlite:{}'\ndeadline = '200ms'\n",
            socket.display(),
            path.display()
        )
    };
    let told = |user: Option<User>, path: &Path, wanted: &[&str]| {
        let (code, said) = check_as(user, &at(path));
        assert!(code > 0, "{said}");
        contains_all(&said, wanted);
        assert!(!said.contains("start the server"), "{said}");
    };
    let nobody = Some(User::named("nobody"));
    told(None, &folder.join("missing.db"), &["there is no database at ", "create it with `mailauth init`"]);
    told(None, folder.path(), &["it is a folder: set [database] url to a file in it"]);
    fs::write(folder.join("text"), "this is no database, and never was one of those that SQLite makes")
        .expect("a file");
    told(None, &folder.join("text"), &["file is not a database", "correct [database] url"]);

    let accounts = Accounts::empty(Kind::Sqlite).with("login\nanna@example.org\n");
    let inner = folder.join("inner");
    fs::create_dir(&inner).expect("a folder");
    let file = inner.join("mail.db");
    fs::copy(accounts.file(), &file).expect("a copy");
    fs::set_permissions(&inner, Permissions::from_mode(0o700)).expect("its mode");
    told(nobody, &file, &["Permission denied", "the user nobody may not enter the folder "]);
    fs::set_permissions(&inner, Permissions::from_mode(0o755)).expect("its mode");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("its mode");
    told(nobody, &file, &["the user nobody may not read it (mode 0640, of root:root)"]);
    fs::set_permissions(&file, Permissions::from_mode(0o666)).expect("its mode");
    told(nobody, &file, &["the user nobody may not write to ", "/inner: run this as root", "modes 0660 and 2770"]);

    let lock = rusqlite::Connection::open(&file).expect("the database");
    lock.execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").expect("a lock");
    told(None, &file, &["did not answer within 200 ms; another program holds its lock"]);
}

#[test]
fn a_missing_password_file_differs_from_an_unreadable_one() {
    let folder = Scratch::new("advice");
    let url = "mysql://mail@localhost/mail";
    let whole = config(&folder, url, "secret");
    let (code, said) = check_as(Some(User::named("nobody")), &whole);
    assert_eq!(code, 2, "{said}");
    contains_all(&said, &["[database] password_file: ", "Permission denied", "readable for the user nobody"]);
    fs::remove_file(folder.join("password")).expect("the file");
    contains_all(
        &down("configuration", &whole),
        &["No such file", "create it with the password in it, or correct its name"],
    );
}

#[test]
fn a_server_of_another_kind_is_not_reported_as_down() {
    let folder = Scratch::new("advice");
    let (mariadb, postgres) = (MariaDb::shared().port(), Postgres::shared().port());
    let told = |url: String| down("database", &(config(&folder, &url, "secret") + "deadline = '1s'\n"));
    let said = told(format!("postgres://mail@127.0.0.1:{mariadb}/mail"));
    assert!(!said.contains("start the server"), "{said}");
    let said = told(format!("mysql://mail@127.0.0.1:{postgres}/mail"));
    assert!(!said.contains("start the server"), "{said}");
}
