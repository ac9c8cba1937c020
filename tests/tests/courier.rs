//! The real Courier programs with mailauth's daemon at their compiled-in socket: users notice no difference.

use mailauth_tests::imap::Imap;
use mailauth_tests::people::{ANNA, BRUNO, CARLA, DORA, DORAS_PASSWORD, PASSWORD, UNKNOWN, many, people};
use mailauth_tests::pop3::Pop3;
use mailauth_tests::wire::login;
use mailauth_tests::{
    Accounts, Kind, MailHost, Mailauth, eventually, on_each_database, on_each_server, output_with_input, run,
    run_with_input,
};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

const MESSAGE: &str = "From: dora@example.org\nSubject: Lunch?\n\nAt noon.\n";

on_each_database!(
    imap_logs_in_lists_and_fetches,
    imap_refuses_users_that_may_not_log_in,
    pop3_logs_in_lists_and_fetches,
    pop3_refuses_users_that_may_not_log_in,
    authtest_checks_and_changes_passwords,
    authenumerate_lists_everybody,
    hashes_made_by_authpasswd_log_in,
    maildrop_delivers,
);

mod away {
    use super::{imap_reports_a_temporary_failure, pop3_reports_a_temporary_failure};
    super::on_each_server!(imap_reports_a_temporary_failure, pop3_reports_a_temporary_failure);
}

/// A mail host with the daemon on it, and the mail of Anna, Bruno and Carla.
struct Running {
    accounts: Accounts,
    host: MailHost,
    server: Mailauth,
}

fn running(accounts: Accounts) -> Running {
    let host = MailHost::new();
    let accounts = accounts.with(&people(&host.path("mail")));
    for name in ["anna", "bruno", "carla"] {
        host.home(name, &[MESSAGE, "Subject: another\n\n"]);
    }
    let server = Mailauth::on(&host, &accounts);
    Running { accounts, host, server }
}

fn imap_logs_in_lists_and_fetches(kind: Kind) {
    let running = running(Accounts::empty(kind));
    let service = running.host.imap();
    let mut client = Imap::connect(service.port());
    assert_eq!(client.login(ANNA, PASSWORD), "OK LOGIN Ok.");
    assert!(client.command("LIST \"\" \"*\"").iter().any(|line| line.ends_with("INBOX\"")));
    assert!(client.command("SELECT INBOX").contains(&"* 2 EXISTS".to_owned()));
    let fetched = client.command("FETCH 1 BODY[]").concat();
    assert!(fetched.replace('\r', "").contains(MESSAGE), "{fetched}");
    assert!(client.command("LOGOUT").last().is_some_and(|line| line.starts_with("OK")));
    assert!(service.log().contains("LOGIN, user=anna@example.org"), "{}", service.log());
}

/// Logins that IMAP has to refuse, and why.
const NOT_BY_IMAP: [(&str, &str, &str); 4] = [
    (ANNA, "wrong", "a wrong password"),
    (BRUNO, PASSWORD, "a service that the account may not use"),
    (CARLA, PASSWORD, "a disabled account"),
    (UNKNOWN, PASSWORD, "an unknown login"),
];

fn imap_refuses_users_that_may_not_log_in(kind: Kind) {
    let running = running(Accounts::empty(kind));
    let service = running.host.imap();
    // All at once, because Courier delays each one by five seconds.
    std::thread::scope(|scope| {
        for (login, password, why) in NOT_BY_IMAP {
            let port = service.port();
            scope.spawn(move || assert_eq!(Imap::connect(port).login(login, password), "NO Login failed.", "{why}"));
        }
    });
}

fn pop3_logs_in_lists_and_fetches(kind: Kind) {
    let running = running(Accounts::empty(kind));
    let service = running.host.pop3();
    let mut client = Pop3::connect(service.port());
    assert_eq!(client.login(BRUNO, PASSWORD), "+OK logged in.");
    assert_eq!(client.lines("LIST").len(), 2);
    assert_eq!(client.lines("RETR 1").join("\n") + "\n", MESSAGE);
    assert!(client.command("QUIT").starts_with("+OK"));
}

fn pop3_refuses_users_that_may_not_log_in(kind: Kind) {
    let running = running(Accounts::empty(kind));
    running.accounts.admin(&["account", "set", DORA, "--services", "imap"], "");
    let service = running.host.pop3();
    let refused = [
        (ANNA, "wrong", "a wrong password"),
        (DORA, DORAS_PASSWORD, "a service that the account may not use"),
        (CARLA, PASSWORD, "a disabled account"),
        (UNKNOWN, PASSWORD, "an unknown login"),
    ];
    std::thread::scope(|scope| {
        for (login, password, why) in refused {
            let port = service.port();
            scope.spawn(move || assert_eq!(Pop3::connect(port).login(login, password), "-ERR Login failed.", "{why}"));
        }
    });
}

fn imap_reports_a_temporary_failure(kind: Kind) {
    let running = running(Accounts::on_own_server(kind));
    let service = running.host.imap();
    running.accounts.server().stop();
    for password in [PASSWORD, "wrong"] {
        let said = Imap::connect(service.port()).login(ANNA, password);
        assert!(said.starts_with("* BYE Temporary problem"), "{said}");
    }
    running.accounts.server().start();
    eventually("a login after the database is back", Duration::from_secs(10), || {
        Imap::connect(service.port()).login(ANNA, PASSWORD).starts_with("OK")
    });
}

fn pop3_reports_a_temporary_failure(kind: Kind) {
    let running = running(Accounts::on_own_server(kind));
    let service = running.host.pop3();
    running.accounts.server().stop();
    for password in [PASSWORD, "wrong"] {
        let said = Pop3::connect(service.port()).login(ANNA, password);
        assert!(said.starts_with("-ERR Temporary problem"), "{said}");
    }
    running.accounts.server().start();
    eventually("a login after the database is back", Duration::from_secs(10), || {
        Pop3::connect(service.port()).login(ANNA, PASSWORD).starts_with("+OK")
    });
}

fn authtest_checks_and_changes_passwords(kind: Kind) {
    let running = running(Accounts::empty(kind));
    let authtest = |arguments: &[&str]| {
        let output = output_with_input(running.host.command("authtest").args(arguments), "");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = authtest(&["-s", "imap", ANNA, PASSWORD]);
    assert_eq!(code, Some(0), "{said}");
    let home = running.host.path("mail/anna");
    for line in [
        "Authenticated: anna@example.org  (uid 5000, gid 5000)".to_owned(),
        format!("Home Directory: {}", home.display()),
        "Maildir: Maildir".to_owned(),
        "Quota: 10000000S,1000C".to_owned(),
        "Options: group=staff,wbnodsn=1".to_owned(),
    ] {
        assert!(said.contains(&line), "no {line:?} in {said}");
    }
    assert_eq!(authtest(&[ANNA]).0, Some(0), "a look-up");
    for (arguments, why) in [
        (vec![ANNA, "wrong"], "a wrong password"),
        (vec![UNKNOWN], "an unknown login"),
        (vec!["-s", "imap", BRUNO, PASSWORD], "a service that the account may not use"),
        (vec![ANNA, "wrong", "new words"], "a change without the old password"),
    ] {
        assert_eq!(authtest(&arguments).0, Some(1), "{why}");
    }
    let (code, said) = authtest(&[ANNA, PASSWORD, "new words"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(authtest(&[ANNA, "new words"]).0, Some(0), "the new password");
    assert_eq!(authtest(&[ANNA, PASSWORD]).0, Some(1), "the old password");
}

fn authenumerate_lists_everybody(kind: Kind) {
    let running = running(Accounts::empty(kind).with(&many(500)));
    let listed = run(&mut running.host.command("authenumerate"));
    assert_eq!(listed.lines().filter(|line| line.contains("@many.example\t")).count(), 500);
    let anna = format!("{ANNA}\t5000\t5000\t{}\tMaildir", running.host.path("mail/anna").display());
    assert!(listed.lines().any(|line| line.starts_with(&anna)), "{listed}");
}

fn hashes_made_by_authpasswd_log_in(kind: Kind) {
    let running = running(Accounts::empty(kind));
    let mut csv = String::from("login,password\n");
    for scheme in ["md5", "md5raw", "sha1", "ssha", "sha256", "sha512"] {
        // It asks twice, and reads standard input if that is not a terminal.
        let hash = run_with_input(running.host.command("authpasswd").arg(scheme), "ten words\nten words\n");
        let hash = hash.split_whitespace().last().expect("a hash");
        csv.push_str(&format!("{scheme}@example.org,{hash}\n"));
    }
    running.accounts.admin(&["account", "import", "-"], &csv);
    for user in csv.lines().skip(1).filter_map(|line| line.split(',').next()) {
        assert_eq!(login(running.server.socket(), user, "ten words").word(), "ACCOUNT", "{user}");
        assert_eq!(login(running.server.socket(), user, "ten word").word(), "FAIL", "{user}");
    }
}

fn maildrop_delivers(kind: Kind) {
    let running = running(Accounts::empty(kind));
    let mailbox = running.host.path("mail/anna/Maildir");
    let text = "From: dora@example.org\nSubject: delivered\n\nBy maildrop.\n";
    run_with_input(running.host.command("maildrop").args(["-d", ANNA]), text);
    let delivered = fs::read_dir(mailbox.join("new")).expect("the mailbox").filter_map(|entry| {
        let path = entry.expect("an entry").path();
        fs::read_to_string(&path).expect("a message").contains("By maildrop.").then_some(path)
    });
    let delivered: Vec<_> = delivered.collect();
    assert_eq!(delivered.len(), 1, "{delivered:?}");
    let owner = fs::metadata(&delivered[0]).expect("the message").uid();
    assert_eq!(owner, MailHost::OWNER.uid);
    let quota = fs::read_to_string(mailbox.join("maildirsize")).expect("MAILDIRQUOTA was set");
    assert_eq!(quota.lines().next(), Some("10000000S,1000C"));
    let unknown = output_with_input(running.host.command("maildrop").args(["-d", UNKNOWN]), text);
    assert_eq!(unknown.status.code(), Some(67), "EX_NOUSER");
}
