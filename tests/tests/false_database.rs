//! Programs that take the place of the database server during an outage: they get no password, and cause no login.

use mailauth_tests::false_server::{
    FalseServer, MYSQL_OK, STRANGER, Talk, mysql_greeting, postgres_message as message,
};
use mailauth_tests::people::ANNA;
use mailauth_tests::wire::login;
use mailauth_tests::{Mailauth, Scratch, program};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Password of the database's user, which no other server may learn.
const SECRET: &str = "the database's own password";

/// Returns `[database]` with this URL, the password and more lines.
fn database(folder: &Scratch, url: &str, more: &str) -> String {
    let file = folder.join("password");
    fs::write(&file, SECRET).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    format!("[database]\nurl = \"{url}\"\npassword_file = \"{}\"\ndeadline = \"1s\"\n{more}\n", file.display())
}

/// Starts a daemon with this `[database]`, and without a snapshot to answer from.
fn daemon(folder: &Scratch, url: &str, more: &str) -> Mailauth {
    let database = database(folder, url, more);
    Mailauth::configured(|socket| {
        format!("{database}[outage]\nenabled = false\n[courier]\nsocket = \"{}\"\n", socket.display())
    })
}

/// Asserts that a daemon answers "not now", logs why, and does not send the password.
fn is_not_believed(server: &FalseServer, url: &str, more: &str, why: &str) -> Mailauth {
    let folder = Scratch::new("false-database");
    let daemon = daemon(&folder, url, more);
    assert_eq!(login(daemon.socket(), ANNA, "anything").word(), "CLOSED", "{}", daemon.log());
    daemon.wait_for_log(why);
    assert!(!server.has_heard(SECRET), "{:?}", String::from_utf8_lossy(&server.heard()));
    daemon
}

fn about_password(code: u32, rest: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes()[..], rest].concat())
}

/// Returns what PostgreSQL sends when it accepts a client.
fn let_in() -> Vec<u8> {
    let encoding = message(b'S', b"server_encoding\0UTF8\0");
    [about_password(0, &[]), encoding, message(b'K', &[0; 8]), message(b'Z', b"I")].concat()
}

/// Reads the startup message of a client of PostgreSQL, and what follows on `first`; then accepts it.
fn postgres(first: Vec<u8>) -> impl Fn(&mut Talk<'_>) -> io::Result<()> {
    move |talk| {
        talk.postgres(true)?;
        talk.say(&first)?;
        talk.postgres(false)?;
        talk.say(&let_in())
    }
}

#[test]
fn a_false_postgres_that_asks_for_the_password_does_not_get_it() {
    for (asked, why) in [
        (about_password(3, &[]), "asked for the password in clear text"),
        (about_password(5, b"salt"), "asked for the password as an MD5 hash"),
        // Not at once, and in pieces that a reader may take for others.
        ([message(b'N', b"SNOTICE\0\0"), about_password(3, &[])].concat(), "asked for the password in clear text"),
        (about_password(10, b"OAUTHBEARER\0\0"), "unsupported SASL mechanism"),
    ] {
        let server = FalseServer::on_loopback(Some(STRANGER), postgres(asked));
        let daemon = is_not_believed(&server, &format!("postgres://mail@127.0.0.1:{}/mail", server.port()), "", why);
        if why.contains("password") {
            daemon.wait_for_log("pg_hba.conf");
        }
    }
}

#[test]
fn a_false_postgres_without_a_password_request_is_rejected() {
    let talk = |talk: &mut Talk<'_>| {
        talk.postgres(true)?;
        talk.say(&let_in())
    };
    let server = FalseServer::on_loopback(Some(STRANGER), talk);
    let url = format!("postgres://mail@127.0.0.1:{}/mail", server.port());
    is_not_believed(&server, &url, "", "accepts mail without the password, as an impostor would");
    assert!(!server.has_heard("SELECT"), "there were questions about accounts");
}

/// Goes through SCRAM with a client, without the password.
fn scram(rounds: u32) -> impl Fn(&mut Talk<'_>) -> io::Result<()> {
    move |talk| {
        talk.postgres(true)?;
        talk.say(&about_password(10, b"SCRAM-SHA-256\0\0"))?;
        let first = talk.postgres(false)?;
        let first = String::from_utf8_lossy(&first).into_owned();
        let nonce = first.split("r=").nth(1).unwrap_or_default();
        talk.say(&about_password(11, format!("r={nonce}more,s=c2FsdHNhbHQ=,i={rounds}").as_bytes()))?;
        talk.postgres(false)?;
        talk.say(&about_password(12, b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))?;
        talk.say(&let_in())
    }
}

#[test]
fn a_false_postgres_without_the_password_is_rejected() {
    for (rounds, why) in [(4096, "without proving that it knows it"), (1, "asks for SCRAM with 1 iterations")] {
        let server = FalseServer::on_loopback(Some(STRANGER), scram(rounds));
        is_not_believed(&server, &format!("postgres://mail@127.0.0.1:{}/mail", server.port()), "", why);
        // With one round the password would be guessed at quickly from the proof.
        assert_eq!(server.has_heard(",p="), rounds > 1);
    }
}

#[test]
fn a_false_mysql_on_the_loopback_receives_no_password() {
    let talk = |talk: &mut Talk<'_>| {
        talk.say_mysql(0, &mysql_greeting("mysql_native_password"))?;
        talk.mysql()?;
        talk.say_mysql(2, MYSQL_OK)
    };
    let server = FalseServer::on_loopback(Some(STRANGER), talk);
    let url = format!("mysql://mail@127.0.0.1:{}/mail", server.port());
    let daemon = is_not_believed(&server, &url, "", "the server runs as the user 64242");
    daemon.wait_for_log("[database] server_user = ");
    is_not_believed(&server, &url, "server_user = \"root\"", "[database] server_user is root");
    assert_eq!(server.heard(), b"", "not even a proof of the password was sent");
}

#[test]
fn a_false_mysql_of_the_right_user_does_not_get_the_password() {
    let clear = |talk: &mut Talk<'_>| {
        talk.say_mysql(0, &mysql_greeting("caching_sha2_password"))?;
        talk.mysql()?;
        talk.say_mysql(2, b"\xfemysql_clear_password\0")?;
        talk.mysql()?;
        talk.say_mysql(4, MYSQL_OK)
    };
    let old = |talk: &mut Talk<'_>| {
        talk.say_mysql(0, &mysql_greeting("mysql_native_password"))?;
        talk.mysql()?;
        talk.say_mysql(2, b"\xfe")
    };
    // "Full authentication": the client would ask for a key, and encrypt the password by whatever it is given.
    let key = |talk: &mut Talk<'_>| {
        talk.say_mysql(0, &mysql_greeting("caching_sha2_password"))?;
        talk.mysql()?;
        talk.say_mysql(2, &[1, 4])?;
        let (_, asked) = talk.mysql()?;
        panic!("it said {asked:?}");
    };
    type Script = fn(&mut Talk<'_>) -> io::Result<()>;
    let scripts: [(Script, &str); 3] = [
        (clear, "plugin is mysql_clear_password"),
        (old, "in an unsafe form"),
        (key, "the server asked for the password itself"),
    ];
    for (script, why) in scripts {
        let server = FalseServer::on_loopback(Some(STRANGER), script);
        let url = format!("mysql://mail@127.0.0.1:{}/mail", server.port());
        is_not_believed(&server, &url, "server_user = 64242", why);
        assert!(server.has_heard("mail"), "it was not greeted: the key had no effect");
    }
}

#[test]
fn a_false_server_on_a_unix_socket_receives_nothing() {
    let folder = Scratch::new("false-socket");
    let below = folder.folder_of(STRANGER, "run");
    // Where such sockets often are, any user may put one.
    fs::set_permissions(&below, fs::Permissions::from_mode(0o1777)).unwrap();
    let greets = |talk: &mut Talk<'_>| talk.say_mysql(0, &mysql_greeting("mysql_native_password"));
    let server = FalseServer::on_socket(&below.join("mysql.sock"), STRANGER, greets);
    let url = format!("mysql://mail@/mail?socket={}", below.join("mysql.sock").display());
    is_not_believed(&server, &url, "", "the server runs as the user 64242");
    is_not_believed(&server, &url, "server_user = \"mysql\"", "[database] server_user is mysql");
    assert_eq!(server.heard(), b"");
    is_not_believed(&server, &url, "server_user = \"64242\"", "did not answer within");
    assert!(server.has_heard("mail"), "the configured user is the right one");

    let server = FalseServer::on_socket(&below.join(".s.PGSQL.5432"), STRANGER, postgres(about_password(3, &[])));
    let url = format!("postgres://mail@/mail?socket={}", below.display());
    is_not_believed(&server, &url, "", "the server runs as the user 64242");
    assert_eq!(server.heard(), b"");
    is_not_believed(&server, &url, "server_user = \"64242\"", "asked for the password in clear text");
}

/// What a reader of the log would take for the daemon's own lines, and a terminal would obey.
const FORGED: &str = "gone\n2026-11-28T00:00:00.000000Z  INFO mailauth::decision: kind=\"login\" \
                      login=\"anna@example.org\" service=imap answer=\"no\" reason=\"wrong-password\" \
                      client=\"192.0.2.66\"\r\n\x1b[2J\x1b]0;x\x07\u{9b}31m\u{202e}";

/// Sees that neither the daemon's log nor what the command prints holds a line of the server's.
fn message_is_shown_on_one_line(url: &str) {
    let folder = Scratch::new("forged");
    let server = daemon(&folder, url, "");
    assert_eq!(login(server.socket(), ANNA, "anything").word(), "CLOSED", "{}", server.log());
    server.wait_for_log(r"gone\n2026-11-28T00:00:00.000000Z  INFO");
    looks_right(&server.log());
    for arguments in [&["account", "list"][..], &["check"], &["auth", ANNA, "--password-stdin"], &["status"]] {
        let config = match arguments {
            ["status"] => server.config_path(),
            _ => folder.join("mailauth.toml"),
        };
        fs::write(folder.join("mailauth.toml"), format!("{}[outage]\nenabled = false\n", database(&folder, url, "")))
            .unwrap();
        let Output { stdout, stderr, .. } = command(&config, arguments);
        looks_right(&String::from_utf8_lossy(&stdout));
        looks_right(&String::from_utf8_lossy(&stderr));
    }
}

fn command(config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("mailauth"));
    command.arg("--config").arg(config).args(arguments).stdin(std::process::Stdio::null());
    command.output().expect("mailauth")
}

fn looks_right(text: &str) {
    for line in text.split('\n') {
        assert!(!line.starts_with("2026-11-28T00:00:00.000000Z"), "a line sent by the server: {line:?}");
        assert!(!line.contains(char::is_control) && !line.contains('\u{202e}'), "a terminal would obey: {line:?}");
    }
}

#[test]
fn a_postgres_error_message_is_shown_on_one_line() {
    let error =
        |code: &str| message(b'E', format!("SFATAL\0VFATAL\0C{code}\0M{FORGED}\0D{FORGED}\0H{FORGED}\0\0").as_bytes());
    for code in ["28P01", "57P03", "0\n123\x1b"] {
        let error = error(code);
        let server = FalseServer::on_loopback(None, move |talk: &mut Talk<'_>| {
            talk.postgres(true)?;
            talk.say(&error)
        });
        message_is_shown_on_one_line(&format!("postgres://mail@127.0.0.1:{}/mail", server.port()));
    }
}

#[test]
fn a_mysql_error_message_is_shown_on_one_line() {
    let error = |code: u16| [&[0xff][..], &code.to_le_bytes(), b"#HY000", FORGED.as_bytes()].concat();
    for code in [1040, 1045, 1053] {
        let error = error(code);
        let server = FalseServer::on_loopback(None, move |talk: &mut Talk<'_>| talk.say_mysql(0, &error));
        message_is_shown_on_one_line(&format!("mysql://mail@127.0.0.1:{}/mail", server.port()));
    }
    // A server that lets us in, and refuses what it is asked.
    let error = error(1105);
    let server = FalseServer::on_loopback(None, move |talk: &mut Talk<'_>| {
        talk.say_mysql(0, &mysql_greeting("mysql_native_password"))?;
        talk.mysql()?;
        talk.say_mysql(2, MYSQL_OK)?;
        loop {
            let (_, asked) = talk.mysql()?;
            match asked.starts_with(b"\x03SET") {
                true => talk.say_mysql(1, MYSQL_OK)?,
                false => talk.say_mysql(1, &error)?,
            }
        }
    });
    message_is_shown_on_one_line(&format!("mysql://mail@127.0.0.1:{}/mail", server.port()));
}
