//! README.md and the pages in docs/ are correct: their blocks are run as printed, and what they name exists.

#[path = "readme/host.rs"]
mod host;
#[path = "readme/page.rs"]
mod page;
#[path = "readme/terminal.rs"]
mod terminal;

use host::{CONFIG, Host, is_in_repository, somebody};
use mailauth_core::authenticate::{No, NotNow};
use mailauth_tests::exim::{Exim, maildir};
use mailauth_tests::imap::Imap;
use mailauth_tests::people::{CHEAP_HASH, PASSWORD, UNKNOWN, people};
use mailauth_tests::pop3::Pop3;
use mailauth_tests::wire::{Manner, ask, auth, login};
use mailauth_tests::{
    Accounts, Kind, MailHost, Mailauth, MariaDb, Postgres, as_user, eventually, output_with_input, program, run,
};
use page::{Kind as PieceKind, Piece, page, pages, text_of};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const INSTALL: &str = "docs/install.md";
const ACCOUNTS: &str = "docs/accounts.md";
const DATABASES: &str = "docs/databases.md";
const COURIER: &str = "docs/courier.md";
const EXIM: &str = "docs/exim.md";
const POSTFIX: &str = "docs/postfix.md";
const CHECKPASSWORD: &str = "docs/checkpassword.md";
const QUOTAS: &str = "docs/quotas.md";
const TROUBLESHOOTING: &str = "docs/troubleshooting.md";

/// The account that the page makes.
const ANNA: &str = "anna@example.org";

/// The blocks of a page between fences.
fn blocks(name: &str) -> Vec<Piece> {
    let blocks: Vec<Piece> = page(name).into_iter().filter(|piece| piece.language().is_some()).collect();
    assert!(!blocks.is_empty(), "{name} has no block");
    blocks
}

#[test]
fn every_block_is_on_a_page_that_is_run() {
    // All blocks of a page are run, by tests/quota_programs.rs for quotas, by tests/postfix.rs for Postfix, by
    // tests/exim.rs for the forms of Exim's configuration that are not the first one, and otherwise by tests below.
    let run = [INSTALL, ACCOUNTS, DATABASES, COURIER, EXIM, POSTFIX, CHECKPASSWORD, QUOTAS];
    for piece in pages().iter().filter(|piece| piece.language().is_some()) {
        assert!(run.contains(&piece.page.as_str()), "{piece:?}");
    }
}

#[test]
fn a_host_set_up_as_printed_serves_its_account() {
    let mut host = Host::new();
    for block in blocks(INSTALL).iter().chain(&blocks(COURIER)).chain(&blocks(EXIM)).chain(&blocks(CHECKPASSWORD)) {
        host.follow(block);
    }
    host.reload();
    logs_in(&host);
    logs_in_by_checkpassword(&host);
    the_last_block_did_what_it_says(&host);
    sends_and_receives(&host);
    the_socket_is_for_its_group(&host);
    services_are_what_is_set(&host);
    an_outage_bounces_nothing(&host);
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

/// Exim as printed.
fn sends_and_receives(host: &Host) {
    let mut exim = Exim::on(Arc::clone(&host.host));
    exim.start();
    let mut client = exim.connect_tls();
    assert_eq!(client.auth_plain(ANNA.as_bytes(), b"wrong").code, 535, "{}", exim.log("mainlog"));
    assert_eq!(client.auth_plain(ANNA.as_bytes(), PASSWORD.as_bytes()).code, 235, "{}", exim.log("mainlog"));
    client.mail(ANNA, None);
    assert_eq!(client.rcpt("nobody@example.org").code, 550);
    assert_eq!(client.rcpt(ANNA).code, 250);
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

/// The lines of the page for a POP3 service, each of which is what tcpserver starts for a connection.
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

/// The indented blocks of a page.
fn indented(name: &str) -> Vec<String> {
    let pieces = page(name).into_iter().filter(|piece| piece.kind == PieceKind::Indented);
    pieces.map(|piece| piece.text).collect()
}

/// That it ended well is known; and this is what its commands say.
fn the_last_block_did_what_it_says(host: &Host) {
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
    let answer = as_user(somebody("courier"), || login(&socket, ANNA, PASSWORD));
    assert_eq!(answer.word(), "ACCOUNT", "the group of the page may ask");
    as_user(somebody("nobody"), || UnixStream::connect(&socket)).expect_err("nobody else may");
    // Nor may anybody else read the hashes.
    let database = host.host.inside("/var/lib/mailauth/mail.db");
    let reader = host.outcome(&format!(
        "setpriv --reuid={} --regid=courier --clear-groups cat /var/lib/mailauth/mail.db",
        somebody("courier").uid
    ));
    assert!(database.exists() && reader.0 == Some(1), "{reader:?}");
}

fn services_are_what_is_set(host: &Host) {
    for (services, imap, pop3) in [("pop3", 1, 0), ("none", 1, 1), ("''", 0, 0)] {
        run(&mut host.shell(&format!("mailauth account set {ANNA} --services {services}")));
        for (service, expected) in [("imap", imap), ("pop3", pop3)] {
            let (code, said) = host.outcome(&format!("authtest -s {service} {ANNA} '{PASSWORD}'"));
            assert_eq!(code, Some(expected), "{service} with the services {services}: {said}");
        }
        assert_eq!(deliver(host, "-a -d"), Some(0), "mail arrives, whatever the services");
    }
}

/// How maildrop ends.
fn deliver(host: &Host, options: &str) -> Option<i32> {
    host.outcome(&format!("echo 'Subject: more' | maildrop {options} {ANNA}")).0
}

fn an_outage_bounces_nothing(host: &Host) {
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
fn accounts_and_aliases_are_changed_as_printed() {
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
fn accounts_in_mariadb_are_reached_as_printed() {
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
fn accounts_in_postgres_are_reached_as_printed() {
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

/// The configuration is as printed, but for the servers' port, which is not the usual one. Their names lead to the
/// loopback.
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
    // The lines for a daemon's user stand in comments at the head, a little to the right.
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
    let down = &["take it out of [database] url"][..accounts.hosts.len() - 1];
    let checked = not_ok(&[&["start mailauth-courier"], down, &["start mailauth-courier"]].concat());
    assert!(checked.contains("TLSv1"), "{checked}");

    let _daemon = host.start_by_hand();
    let socket = host.host.socket();
    eventually("the daemon", Duration::from_secs(20), || UnixStream::connect(&socket).is_ok());
    assert_eq!(login(&socket, ANNA, PASSWORD).word(), "ACCOUNT", "{}", host.log());
    assert_eq!(login(&socket, ANNA, "guessed").word(), "FAIL");
    let is_there = || !host.outcome("target/release/mailauth check").1.contains("there is none at");
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

/// The time of day and the duration differ.
fn without_numbers(line: &str) -> String {
    let from_level = line.find("INFO").map_or(line, |start| &line[start..]);
    let words = from_level.split(' ').map(|word| match word.strip_prefix("ms=") {
        Some(number) if number.parse::<f64>().is_ok() => "ms=N",
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_command_line_is_understood() {
    let mut lines = BTreeSet::new();
    for piece in pages() {
        lines.extend(piece.spans());
        if piece.kind != PieceKind::Prose {
            lines.extend(piece.text.lines().map(|line| match line.strip_prefix("cargo run --release --bin ") {
                Some(ours) => ours.replacen(" -- ", " ", 1),
                None => line.to_owned(),
            }));
        }
    }
    lines.retain(|line| line.starts_with("mailauth "));
    assert!(lines.contains("mailauth try") && lines.len() > 8, "{lines:?}");
    let programs = program("mailauth").parent().expect("a folder").display().to_string();
    for line in lines {
        // Options and values are read before this one, and refused if they are none.
        run(Command::new("sh")
            .args(["-ec", &format!("{line} --help")])
            .env("PATH", format!("{programs}:/usr/bin:/bin")));
    }
}

#[test]
fn every_key_and_file_that_is_named_exists() {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    let sample = text_of("mailauth.toml");
    for line in sample.lines() {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => {
                section = name.to_owned();
                keys.insert(format!("[{section}]"));
            }
            None => keys.extend(
                line.strip_prefix('#')
                    .and_then(|line| line.split_once(" = "))
                    .map(|(name, _)| [format!("[{section}] {name}"), name.to_owned()])
                    .into_iter()
                    .flatten(),
            ),
        }
    }
    let pages = pages();
    let all_spans = || pages.iter().flat_map(|piece| piece.spans().into_iter().map(|span| (piece.page.as_str(), span)));
    // A span is a key if it begins with a section, or consists of words joined by underscores. The page about security
    // also has names of tests, which tests/security_page.rs looks for.
    let is_key = |(page, span): &(&str, String)| {
        let is_word = span.contains('_') && span.chars().all(|c| c == '_' || c.is_ascii_lowercase());
        span.starts_with('[') || is_word && *page != "docs/security.md"
    };
    let named: Vec<_> = all_spans().filter(is_key).collect();
    assert!(named.len() > 5, "{named:?}");
    let tables = text_of("schema/sqlite.sql");
    let is_column = |name: &str| tables.lines().any(|line| line.split_whitespace().next() == Some(name));
    let roles_and_metrics = [text_of("schema/grants.postgres.sql"), sources(&["mailauth-"])].concat();
    for (page, key) in named {
        if key.starts_with("mailauth_") {
            assert!(roles_and_metrics.contains(&key), "{page}: there is no role and no metric {key}");
            continue;
        }
        // Some are shown with a value.
        let key = key.split(" = ").next().unwrap_or_default();
        assert!(keys.contains(key) || is_column(key), "{page}: neither mailauth.toml nor a table has {key}");
    }
    let is_file = |(_, span): &(&str, String)| {
        !span.contains([' ', '@']) && !span.starts_with(['/', '?']) && (span.contains('/') || span.ends_with(".toml"))
    };
    let named: Vec<_> = all_spans().filter(is_file).collect();
    assert!(named.len() > 2, "{named:?}");
    for (page, file) in named {
        assert!(is_in_repository(&file), "{page}: there is no {file}");
    }
}

/// The Rust sources below the folders of the repository whose names begin like this, without the line breaks that `\` escapes.
fn sources(prefixes: &[&str]) -> String {
    fn add(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                add(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("a source");
                let mut lines = source.split("\\\n");
                *text += lines.next().unwrap_or_default();
                lines.for_each(|line| *text += line.trim_start());
            }
        }
    }
    let mut text = String::new();
    for entry in fs::read_dir(page::repository()).expect("the repository") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        if entry.path().is_dir() && prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            add(&entry.path(), &mut text);
        }
    }
    text
}

/// The first columns of the tables of the page about troubleshooting, from the heading to the next one.
fn first_column(heading: &str) -> Vec<String> {
    let pieces = page(TROUBLESHOOTING).into_iter().filter(|piece| piece.heading == heading);
    let cells = pieces.flat_map(|piece| {
        let rows = piece.text.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| row.split_once("` |")).map(|(cell, _)| cell.replace("`<br>`", "\n")).collect::<Vec<_>>()
    });
    let cells: Vec<String> = cells.flat_map(|cell| cell.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(!cells.is_empty(), "{TROUBLESHOOTING} has no table under {heading:?}");
    cells
}

#[test]
fn every_reason_in_the_log_is_explained() {
    let explained = first_column("Reasons in the log");
    let all: BTreeSet<&str> = No::CODES.into_iter().chain(NotNow::CODES).collect();
    for code in &all {
        assert!(explained.iter().any(|reason| reason == code), "{TROUBLESHOOTING} does not explain {code}");
    }
    for reason in &explained {
        assert!(all.contains(reason.as_str()), "{TROUBLESHOOTING} explains {reason}, which does not exist");
    }
}

#[test]
fn every_message_that_is_explained_exists() {
    // Messages of other programs are those that the tests expect.
    let sources = sources(&["mailauth-", "tests"]);
    for heading in ["At the start", "Clients and sockets", "Databases", "Mailboxes and mail"] {
        for message in first_column(heading) {
            for part in message.split('…').map(str::trim).filter(|part| !part.is_empty()) {
                assert!(
                    sources.contains(part),
                    "{TROUBLESHOOTING}, {heading}: no program says {part:?} of {message:?}"
                );
            }
        }
    }
}

/// The places that a page links to, as they are written.
fn links(name: &str) -> Vec<String> {
    let text = text_of(name);
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The name that a heading has in a link: GitHub's and mdBook's form.
fn anchor(heading: &str) -> String {
    let letters = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    letters.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    let others = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned);
    for name in page::names().into_iter().chain(others) {
        let folder = Path::new(&name).parent().expect("a folder");
        for link in links(&name).iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { name.clone() } else { folder.join(file).display().to_string() };
            assert!(is_in_repository(&path), "{name} links to {link}");
            if !heading.is_empty() {
                let anchors: Vec<String> = text_of(&path)
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(|line| anchor(line.trim_start_matches(['#', ' '])))
                    .collect();
                assert!(
                    anchors.iter().any(|anchor| anchor == heading),
                    "{name} links to {link}; there are {anchors:?}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn the_book_has_every_page() {
    let listed = links("docs/SUMMARY.md");
    for name in page::names().iter().filter_map(|name| name.strip_prefix("docs/")) {
        assert!(listed.iter().any(|link| link == name), "docs/SUMMARY.md lacks {name}");
        assert!(links("README.md").contains(&format!("docs/{name}")), "README.md does not link to {name}");
    }
    for link in listed.iter().filter(|link| !link.is_empty()) {
        assert!(is_in_repository(&format!("docs/{link}")), "docs/SUMMARY.md lists {link}");
    }
}
