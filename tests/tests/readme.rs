//! README.md and the pages in docs/ are correct: their blocks are run as printed, and what they name exists.

#[path = "readme/claims.rs"]
mod claims;
#[path = "readme/host.rs"]
mod host;
#[path = "readme/page.rs"]
mod page;
#[path = "readme/terminal.rs"]
mod terminal;

use host::{CONFIG, Host, member_of};
use mailauth_tests::exim::{Exim, maildir};
use mailauth_tests::imap::Imap;
use mailauth_tests::people::{CHEAP_HASH, PASSWORD, UNKNOWN, people};
use mailauth_tests::pop3::Pop3;
use mailauth_tests::wire::{Manner, ask, auth, login};
use mailauth_tests::{
    Accounts, Kind, MailHost, Mailauth, MariaDb, Postgres, Server, as_user, eventually, output_with_input, run,
};
use page::{Kind as PieceKind, Piece, page, pages, text_of};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const INSTALL: &str = "docs/install.md";
const ACCOUNTS: &str = "docs/accounts.md";
const DATABASES: &str = "docs/databases.md";
const COURIER: &str = "docs/courier.md";
const EXIM: &str = "docs/exim.md";
const CHECKPASSWORD: &str = "docs/checkpassword.md";

/// The account that the page creates.
const ANNA: &str = "anna@example.org";

/// Returns the blocks of a page between fences.
fn blocks(name: &str) -> Vec<Piece> {
    let blocks: Vec<Piece> = page(name).into_iter().filter(|piece| piece.language().is_some()).collect();
    assert!(!blocks.is_empty(), "{name} has no block");
    blocks
}

#[test]
fn a_host_set_up_as_documented_serves_its_account() {
    let mut host = Host::new();
    for block in blocks(INSTALL).iter().chain(&blocks(COURIER)).chain(&blocks(EXIM)).chain(&blocks(CHECKPASSWORD)) {
        host.follow(block);
    }
    host.reload();
    logs_in(&host);
    logs_in_by_checkpassword(&host);
    the_last_block_did_what_it_documents(&host);
    sends_and_receives(&host);
    the_socket_is_for_its_group(&host);
    services_are_those_that_were_set(&host);
    an_outage_bounces_no_mail(&host);
    host.stop();
}

fn logs_in(host: &Host) {
    let imap = host.host.imap();
    let mut client = Imap::connect(imap.port());
    assert_eq!(client.login(ANNA, PASSWORD), "OK LOGIN Ok.", "{}", host.log());
    // The message that the page sends with maildrop.
    assert!(client.command("SELECT INBOX").contains(&"* 1 EXISTS".to_owned()));
    assert!(client.command("FETCH 1 BODY[]").concat().contains("Subject: hello"));
    let pop3 = host.host.pop3();
    assert_eq!(Pop3::connect(pop3.port()).login(ANNA, PASSWORD), "+OK logged in.", "{}", host.log());
}

/// Tests that the printed configuration of Exim authenticates, refuses and delivers.
fn sends_and_receives(host: &Host) {
    let mut exim = Exim::on(Arc::clone(&host.host));
    exim.start();
    let mut client = exim.connect_tls();
    assert_eq!(client.auth_plain(ANNA.as_bytes(), b"wrong").code, 535, "{}", exim.log("mainlog"));
    assert_eq!(client.auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).code, 235, "{}", exim.log("mainlog"));
    client.mail(ANNA, None);
    assert_eq!(client.rcpt("nobody@example.org").code, 550);
    assert_eq!(client.rcpt(ANNA).code, 250);
    assert_eq!(client.rcpt("postmaster").code, 250, "the printed alias leads root to the account");
    assert_eq!(client.data("Subject: by Exim\n\nhello\n").code, 250);
    client.quit();
    exim.wait_for_log("T=mailbox");
    let new = maildir(&host.host, ANNA).join("new");
    let texts = fs::read_dir(new)
        .expect("the mailbox")
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("a message"));
    assert!(texts.into_iter().any(|text| String::from_utf8_lossy(&text).contains("Subject: by Exim")));
    assert_eq!(exim.log("paniclog"), "");
}

/// Runs the printed lines for a POP3 service, as tcpserver does for each connection.
fn logs_in_by_checkpassword(host: &Host) {
    let blocks = indented(CHECKPASSWORD);
    let [build, services, _dovecot] = &blocks[..] else {
        panic!("tests/checkpassword/dovecot.rs runs the third: {blocks:?}")
    };
    logs_in_by_each(host, services);
    host.have_static_build();
    let install = build.lines().nth(1).expect("a line after the one that cargo has run");
    run(&mut host.shell(install));
    logs_in_by_each(host, services);
}

fn logs_in_by_each(host: &Host, services: &str) {
    assert_eq!(services.lines().count(), 3, "{services}");
    for line in services.lines() {
        let said = |password: &str| {
            let typed = format!("USER {ANNA}\r\nPASS {password}\r\nSTAT\r\nQUIT\r\n");
            let output = output_with_input(&mut host.shell(line), &typed);
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let right = said(PASSWORD);
        assert!(right.contains("\n+OK 1 "), "{line}: {right}");
        let wrong = said("wrong");
        assert!(wrong.ends_with("\n-ERR authorization failed\r\n"), "{line}: {wrong}");
    }
}

/// Returns the indented blocks of a page.
fn indented(name: &str) -> Vec<String> {
    let pieces = page(name).into_iter().filter(|piece| piece.kind == PieceKind::Indented);
    pieces.map(|piece| piece.text).collect()
}

/// Checks the output of the commands in the last block; that they succeed was checked when they ran.
fn the_last_block_did_what_it_documents(host: &Host) {
    let said = run(&mut host.shell(&format!("authtest {ANNA} 2>&1")));
    for line in [
        "Authenticated: anna@example.org  (uid 5000, gid 5000)",
        "Home Directory: /var/mail/example.org/anna",
        "Maildir: Maildir",
        "Quota: 1073741824S,10000C",
    ] {
        assert!(said.contains(line), "no {line:?} in {said}");
    }
    let listed = run(&mut host.shell("authenumerate"));
    assert!(listed.starts_with("anna@example.org\t5000\t5000\t/var/mail/example.org/anna\tMaildir"), "{listed}");
    let exported = run(&mut host.shell("mailauth account export"));
    let columns = exported.lines().next().expect("a header").to_owned();
    assert!(
        pages().iter().flat_map(Piece::spans).any(|span| span == columns),
        "docs/accounts.md lists other columns: {columns}"
    );
    let checked = run(&mut host.shell("mailauth check"));
    assert!(checked.lines().skip(1).all(|line| line.starts_with("ok")), "{checked}");
    assert!(checked.contains(CONFIG) && checked.contains(&format!("{} answers", MailHost::SOCKET)), "{checked}");
}

fn the_socket_is_for_its_group(host: &Host) {
    let socket = host.host.socket();
    let answer = as_user(member_of("courier"), || login(&socket, ANNA, PASSWORD));
    assert_eq!(answer.word(), "ACCOUNT", "members of the printed group may ask");
    as_user(member_of("nobody"), || UnixStream::connect(&socket)).expect_err("other users may not connect");
    // Other users may not read the hashes either.
    let database = host.host.inside("/var/lib/mailauth/mail.db");
    let reader = host.outcome(&format!(
        "setpriv --reuid={} --regid=courier --clear-groups cat /var/lib/mailauth/mail.db",
        member_of("courier").uid
    ));
    assert!(database.exists() && reader.0 == Some(1), "{reader:?}");
}

fn services_are_those_that_were_set(host: &Host) {
    for (services, imap, pop3) in [("pop3", 1, 0), ("none", 1, 1), ("''", 0, 0)] {
        run(&mut host.shell(&format!("mailauth account set {ANNA} --services {services}")));
        for (service, expected) in [("imap", imap), ("pop3", pop3)] {
            let (code, said) = host.outcome(&format!("authtest -s {service} {ANNA} '{PASSWORD}'"));
            assert_eq!(code, Some(expected), "{service} with the services {services}: {said}");
        }
        assert_eq!(deliver(host, "-a -d"), Some(0), "mail arrives, whatever the services");
    }
}

/// Returns the exit code of maildrop.
fn deliver(host: &Host, options: &str) -> Option<i32> {
    host.outcome(&format!("echo 'Subject: more' | maildrop {options} {ANNA}")).0
}

fn an_outage_bounces_no_mail(host: &Host) {
    run(&mut host.shell("mv /var/lib/mailauth /var/lib/away"));
    host.reload();
    let said = Imap::connect(host.host.imap().port()).login(ANNA, PASSWORD);
    assert!(said.starts_with("* BYE Temporary problem"), "{said}");
    let said = Pop3::connect(host.host.pop3().port()).login(ANNA, PASSWORD);
    assert!(said.starts_with("-ERR Temporary problem"), "{said}");
    assert_eq!(deliver(host, "-d"), Some(67), "EX_NOUSER, which bounces");
    assert_eq!(deliver(host, "-a -d"), Some(75), "EX_TEMPFAIL, which defers");
    run(&mut host.shell("mv /var/lib/away /var/lib/mailauth"));
    host.reload();
    assert_eq!(deliver(host, "-a -d"), Some(0));
}

#[test]
fn accounts_and_aliases_are_changed_as_documented() {
    let mut host = Host::new();
    for block in blocks(INSTALL).iter().chain(&blocks(ACCOUNTS)) {
        host.follow(block);
    }
    let listed = run(&mut host.shell("mailauth account list example.org --json"));
    assert!(listed.contains("ben@example.org") && listed.contains(ANNA), "{listed}");
    assert_eq!(host.outcome("mailauth account list --service pop3").1.matches("ben@example.org").count(), 1);
    let aliases = run(&mut host.shell("mailauth alias list"));
    let lines: Vec<Vec<&str>> = aliases.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines, [["@example.org", ANNA], ["info@example.org", ANNA]], "{aliases}");
}

#[test]
fn accounts_in_mariadb_are_reached_as_documented() {
    let server = MariaDb::shared();
    server.admin("CREATE DATABASE mail CHARACTER SET utf8mb4");
    server.admin("CREATE USER owner IDENTIFIED BY 'of tables'; GRANT ALL ON mail.* TO owner");
    // The first of the two hosts is down.
    serves_from(&ForeignAccounts {
        config: mysql_block(),
        hosts: &[("db1.example.org", "127.0.0.3"), ("db2.example.org", "127.0.0.1")],
        port: server.port(),
        authority: &server.certificates().authority,
        grants: "schema/grants.mysql.sql",
        run: &|sql| server.admin(&format!("USE mail; {sql}")),
    });
}

#[test]
fn accounts_in_postgres_are_reached_as_documented() {
    let server = Postgres::shared();
    server.admin("CREATE ROLE owner LOGIN PASSWORD 'of tables'");
    server.admin("CREATE DATABASE mail OWNER owner");
    // The page has the URL of PostgreSQL in a comment behind the other.
    let config = mysql_block();
    let other = |line: &str| match line.split_once("# or ") {
        Some((_, url)) => format!("url = \"{url}\"\n"),
        None => format!("{line}\n"),
    };
    serves_from(&ForeignAccounts {
        config: config.lines().map(other).collect(),
        hosts: &[("db.example.org", "127.0.0.1")],
        port: server.port(),
        authority: &server.certificates().authority,
        grants: "schema/grants.postgres.sql",
        run: &|sql| server.admin(&format!("\\connect mail\n{sql}")),
    });
}

fn mysql_block() -> String {
    let [block] = &blocks(DATABASES)[..] else { panic!("one block is enough for all servers") };
    assert_eq!(block.language(), Some("toml"));
    block.text.clone()
}

/// A database named `mail` on a server of its own, on which a user `owner` may create tables.
struct ForeignAccounts<'a> {
    config: String,
    /// Names and addresses of the servers.
    hosts: &'a [(&'a str, &'a str)],
    port: u16,
    authority: &'a Path,
    grants: &'a str,
    /// Runs statements in the database as the server's administrator.
    run: &'a dyn Fn(&str) -> String,
}

/// Tests the printed configuration. Only the port of the servers differs, and their names resolve to the loopback.
fn serves_from(accounts: &ForeignAccounts<'_>) {
    let host = Host::new();
    let mut config = accounts.config.clone();
    let mut names = String::new();
    for (name, address) in accounts.hosts {
        assert!(config.contains(name), "{config}");
        config = config.replace(name, &format!("{name}:{}", accounts.port));
        names += &format!("{address} {name}\n");
    }
    host.write("/etc/hosts", &names);
    host.write("/etc/mailauth/ca.pem", &fs::read_to_string(accounts.authority).expect("a certificate"));

    host.write(CONFIG, &config.replace("//mailauth_admin@", "//owner@"));
    host.write_secret("/etc/mailauth/database.password", "a long password\n");
    host.write_secret("/etc/mailauth/admin.password", "of tables\n");
    let owner = |line: &str| run(&mut host.shell(&format!("target/release/mailauth {line}")));
    owner("init");
    owner("domain add example.org");
    owner(&format!("account import - <<'.'\nlogin,password,uid,gid\n{ANNA},{CHEAP_HASH},5000,5000\n.\n"));
    let grants = text_of(accounts.grants);
    (accounts.run)(&grants);
    // The statements for a daemon's user are in the comments at the top, indented.
    for line in grants
        .lines()
        .filter_map(|line| line.strip_prefix("--   "))
        .filter(|line| !line.starts_with(' ') && line.ends_with(';'))
    {
        (accounts.run)(line);
    }

    run(&mut host.shell("install -d -m 750 /var/lib/mailauth"));
    // All hosts but one are down.
    let not_ok = |wanted: &[&str]| {
        let (code, checked) = host.outcome("target/release/mailauth check");
        let found: Vec<_> = checked.lines().skip(1).filter(|line| !line.starts_with("ok ")).collect();
        let as_wanted = found.iter().zip(wanted).all(|(line, wanted)| line.contains(wanted));
        assert!(as_wanted && found.len() == wanted.len(), "{checked}");
        assert_eq!(code, Some(if wanted.is_empty() { 0 } else { 1 }), "{checked}");
        checked
    };
    let down = &["remove the host from [database] url"][..accounts.hosts.len() - 1];
    let checked = not_ok(&[&["start mailauth-courier"], down, &["start mailauth-courier"]].concat());
    assert!(checked.contains("TLSv1"), "{checked}");

    let _daemon = host.start_by_hand();
    let socket = host.host.socket();
    eventually("the daemon", Duration::from_secs(20), || UnixStream::connect(&socket).is_ok());
    assert_eq!(login(&socket, ANNA, PASSWORD).word(), "ACCOUNT", "{}", host.log());
    assert_eq!(login(&socket, ANNA, "guessed").word(), "FAIL");
    let is_there = || !host.outcome("target/release/mailauth check").1.contains("there is no snapshot");
    eventually("the snapshot", Duration::from_secs(20), is_there);
    not_ok(down);
}

#[test]
fn the_log_line_is_what_the_daemon_writes() {
    let shown =
        pages().into_iter().find(|piece| piece.text.contains("INFO mailauth::decision")).expect("a line of the log");
    let accounts = Accounts::empty(Kind::Sqlite).with(&people(Path::new("/var/mail")));
    let server = Mailauth::over(&accounts);
    let request = [b"TCPREMOTEIP=192.0.2.1\n", &auth("imap", UNKNOWN, PASSWORD)[..]].concat();
    assert_eq!(ask(server.socket(), &request, Manner::Whole).outcome().word(), "FAIL");
    server.wait_for_log("mailauth::decision");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("mailauth::decision")).expect("the line");
    assert_eq!(without_numbers(line), without_numbers(shown.text.trim_end()));
}

/// Returns the line without the time of day and the duration, which differ.
fn without_numbers(line: &str) -> String {
    let from_level = line.find("INFO").map_or(line, |start| &line[start..]);
    let words = from_level.split(' ').map(|word| match word.strip_prefix("ms=") {
        Some(number) if number.parse::<f64>().is_ok() => "ms=N",
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
