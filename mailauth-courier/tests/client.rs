//! The client, with the daemon and with other programs on the socket.

mod harness;

use harness::*;
use mailauth_core::account::LoginError;
use mailauth_core::answer::{Answer, No, NotNow, Refusal};
use mailauth_core::authenticate::{Authority, Credential, PasswordChange, Request};
use mailauth_core::mailbox::MailboxDefaults;
use mailauth_core::store::Changed;
use mailauth_core::{Account, DomainName, Login, Service};
use mailauth_protocol::Question;
use mailauth_protocol::client::Client;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn request(login: &str, credential: Credential) -> Request {
    let deadline = Instant::now() + LONG;
    Request { service: Service::Imap, login: login.into(), credential, client: Some("::1".into()), deadline }
}

fn log_in(client: &Client, login: &str, password: &str) -> Answer<Box<Account>> {
    client.authenticate(request(login, Credential::Password(password.into())))
}

#[test]
fn a_client_gets_the_three_answers_of_the_server() {
    let table = two_accounts();
    let server = serve(&table);
    let client = Client::new(&server.socket, LONG);
    let Ok(account) = log_in(&client, "anna", "secret") else { panic!("login refused") };
    assert_eq!((account.login.as_str(), account.uid, account.gid), ("anna@x.example", 5000, 5001));
    assert_eq!((account.home.as_str(), account.maildir.as_deref()), ("/var/mail/x.example/anna", Some("Maildir")));
    let Ok(account) = client.authenticate(request("anna", Credential::Lookup)) else { panic!("not found") };
    assert_eq!(account.login.as_str(), "anna@x.example");
    assert_eq!(log_in(&client, "anna", "wrong"), Err(Refusal::No(No::Unexplained)));
    table.fail(true);
    assert!(matches!(log_in(&client, "anna", "secret"), Err(Refusal::NotNow(NotNow::Daemon(_)))));
    let change = PasswordChange { request: request("anna", Credential::Password("secret".into())), new: "x".into() };
    assert!(matches!(client.change_password(change), Err(Refusal::NotNow(NotNow::Daemon(_)))));
}

#[test]
fn values_that_cannot_be_sent_are_refused_without_asking() {
    let nobody = Client::new("/nonexistent/socket", LONG);
    assert_eq!(log_in(&nobody, "anna", "a\nb"), Err(Refusal::No(No::UnusablePassword)));
    assert_eq!(log_in(&nobody, "anna", ""), Err(Refusal::No(No::UnusablePassword)));
    assert_eq!(log_in(&nobody, "", "secret"), Err(Refusal::No(No::UnusableLogin(LoginError::Empty))));
    assert_eq!(log_in(&nobody, "a\nb", "secret"), Err(Refusal::No(No::UnusableLogin(LoginError::Unprintable))));
}

#[test]
fn no_daemon_is_not_now() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let why = |socket| match log_in(&Client::new(socket, LONG), "anna", "secret") {
        Err(Refusal::NotNow(why @ NotNow::NoDaemon(_))) => why.to_string(),
        other => panic!("{other:?}"),
    };
    let text = why(socket.clone());
    assert!(text.starts_with("the daemon is away: there is no ") && text.contains("start mailauth-courier"), "{text}");
    drop(UnixListener::bind(&socket).unwrap());
    let text = why(socket.clone());
    assert!(text.starts_with("the daemon is away: nothing listens on ") && text.contains("refused"), "{text}");
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "").unwrap();
    let text = why(socket);
    assert!(text.contains(" is not a socket ") && !text.contains("the daemon is away"), "{text}");
}

fn route(client: &Client, question: Question) -> Answer<String> {
    client.route(&question, Instant::now() + LONG)
}

fn recipient(address: &str, size: u64) -> Question {
    Question::Recipient { address: address.into(), size }
}

#[test]
fn a_question_gets_the_three_answers_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::with([resident(folder.path(), "anna")]);
    table.alias("info@x.example", &["anna@x.example", "box@else.example"]);
    let server = serve(&table);
    // The mailbox belongs to this process's user, and tests run as root.
    let permits = MailboxDefaults { allow_root: true, root: Some("/".into()), ..MailboxDefaults::default() };
    let client = Client::new(&server.socket, LONG).permitting(Arc::new(permits));
    let yes = |text: &str| Ok(text.to_owned());
    assert_eq!(route(&client, Question::Domain("x.example".into())), yes(""));
    assert_eq!(route(&client, Question::Alias("info@x.example".into())), yes("anna@x.example, box@else.example"));
    let Ok(text) = route(&client, Question::Account("anna@x.example".into())) else { panic!("no account") };
    assert!(text.starts_with("login=\"anna@x.example\" uid="), "{text}");
    assert_eq!(route(&client, recipient("anna@x.example", 1000)), yes(""));
    let full = "over quota: 0 of 1000 bytes used, and this message would be 1 over it";
    assert_eq!(route(&client, recipient("anna@x.example", 1001)), Err(Refusal::No(No::OverQuota(full.into()))));
    for question in [
        Question::Domain("y.example".into()),
        Question::Account("nobody@x.example".into()),
        Question::Alias("anna@x.example".into()),
        recipient("nobody@x.example", 5),
    ] {
        assert_eq!(route(&client, question), Err(Refusal::No(No::Unexplained)));
    }
    table.fail(true);
    let Err(Refusal::NotNow(NotNow::Daemon(why))) = route(&client, recipient("nobody@x.example", 5)) else {
        panic!("now")
    };
    assert!(why.contains("the database at memory cannot be reached: on purpose"), "{why}");
    assert!(why.contains(server.socket.to_str().unwrap()), "{why}");
}

#[test]
fn a_change_is_reported_to_a_daemon_if_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let (anna, soon) = (Changed::Account(Login::parse(b"anna@x.example", None).unwrap()), || Instant::now() + LONG);
    let client = Client::new(&socket, LONG);
    assert_eq!(client.forget(&anna, soon()), Ok(()), "no socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let frozen = client.forget(&Changed::Everything, Instant::now() + Duration::from_millis(50));
    assert!(matches!(frozen, Err(Refusal::NotNow(NotNow::NoDaemon(_)))), "{frozen:?}");
    drop(listener);
    // A program that another test starts has the listening socket too, until its exec.
    let start = Instant::now();
    while client.forget(&Changed::Everything, soon()) != Ok(()) {
        assert!(start.elapsed() < LONG, "no server listens");
    }
    let server = serve(&two_accounts());
    let client = Client::new(&server.socket, LONG);
    assert_eq!(client.forget(&anna, soon()), Ok(()));
    assert_eq!(client.forget(&Changed::Everything, soon()), Ok(()));
    assert_eq!(client.forget(&Changed::Additions, soon()), Ok(()));
    assert_eq!(client.forget(&Changed::Domain(DomainName::parse("x.example").unwrap()), soon()), Ok(()));
    assert_eq!(client.forget(&Changed::alias("info@x.example").unwrap(), soon()), Ok(()));
}

#[test]
fn a_daemon_that_does_not_know_changed_gets_forget() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let client = Client::new(&socket, LONG);
    let tell = |changed: Changed, replies: &[&[u8]]| {
        std::thread::scope(|scope| {
            let told = scope.spawn(|| client.forget(&changed, Instant::now() + LONG));
            let mut requests = String::new();
            for reply in replies {
                let (mut connection, _) = listener.accept().unwrap();
                let mut request = [0; 100];
                let length = connection.read(&mut request).unwrap();
                requests += std::str::from_utf8(&request[..length]).unwrap();
                connection.write_all(reply).unwrap();
            }
            (requests, told.join().unwrap())
        })
    };
    let domain = || Changed::Domain(DomainName::parse("x.example").unwrap());
    let alias = Changed::alias("info@x.example").unwrap();
    assert_eq!(tell(domain(), &[b"OK\n"]), ("CHANGED domain x.example\n".into(), Ok(())));
    assert_eq!(tell(domain(), &[b"", b"OK\n"]), ("CHANGED domain x.example\nFORGET\n".into(), Ok(())));
    assert_eq!(tell(Changed::Additions, &[b"", b"OK\n"]).0, "CHANGED additions\nFORGET\n");
    // Daemons of that age do not remember aliases.
    let (requests, answer) = tell(alias, &[b""]);
    assert_eq!(requests, "CHANGED alias info@x.example\n");
    assert!(matches!(answer, Err(Refusal::NotNow(NotNow::Daemon(_)))), "{answer:?}");
    // Courier's daemon answers neither request.
    assert!(matches!(tell(domain(), &[b"", b""]).1, Err(Refusal::NotNow(NotNow::Daemon(_)))));
    assert_eq!(tell(domain(), &[b"FAIL\n"]).1, Err(Refusal::No(No::Unexplained)));
}

#[test]
fn a_question_that_cannot_be_sent_is_answered_with_no() {
    let nobody = Client::new("/nonexistent/socket", LONG);
    for address in ["", "a\nb@x.example", "a\0", &"x".repeat(9000)] {
        let answer = route(&nobody, Question::Account(address.into()));
        assert!(matches!(answer, Err(Refusal::No(No::UnusableLogin(_)))), "{answer:?}");
    }
    let answer = route(&nobody, Question::Account("anna".into()));
    assert!(matches!(answer, Err(Refusal::NotNow(NotNow::NoDaemon(_)))), "{answer:?}");
}

/// Returns a client's answer from a daemon that does `act` with its connection.
fn against(patience: Duration, act: impl FnOnce(UnixStream) + Send) -> Answer<Box<Account>> {
    asked(patience, |client| log_in(client, "anna", "secret"), act)
}

fn asked<T>(
    patience: Duration,
    ask: impl FnOnce(&Client) -> Answer<T>,
    act: impl FnOnce(UnixStream) + Send,
) -> Answer<T> {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| act(listener.accept().unwrap().0));
        ask(&Client::new(&socket, patience))
    })
}

fn replying(reply: &'static [u8]) -> Answer<Box<Account>> {
    against(LONG, |mut client| {
        assert!(client.read(&mut [0; 1000]).unwrap() > 0);
        client.write_all(reply).unwrap();
    })
}

#[test]
fn an_invalid_reply_is_not_now() {
    for reply in [
        b"".as_slice(),
        b"FAIL",
        b"OK\n",
        b"UID=5\nGID=5\nHOME=/h\nADDRESS=anna\n",
        b"GID=5\nHOME=/h\nADDRESS=anna\n.\n",
        b"UID=5\nGID=5\nHOME=/h\nADDRESS=anna\nQUOTA=lots\n.\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"OK name=\"x\"\n",
        b"OVER quota\n",
        b"LATER on\n",
    ] {
        assert!(matches!(replying(reply), Err(Refusal::NotNow(NotNow::Daemon(_)))), "{}", reply.escape_ascii());
    }
    assert_eq!(replying(b"FAIL\n"), Err(Refusal::No(No::Unexplained)));
    assert!(replying(b"UID=5\nGID=5\nHOME=/h\nADDRESS=anna\n.\n").is_ok());
}

#[test]
fn a_daemon_that_does_not_know_the_question_is_not_now() {
    let reply = |reply: &'static [u8]| {
        asked(
            LONG,
            |client| route(client, recipient("anna@x.example", 5)),
            |mut client| {
                assert!(client.read(&mut [0; 1000]).unwrap() > 0);
                client.write_all(reply).unwrap();
            },
        )
    };
    for none in
        [b"".as_slice(), b"OK", b"LATER\n", b"OVER\n", b"FAIL why\n", b"UID=5\nGID=5\nHOME=/h\nADDRESS=anna\n.\n"]
    {
        assert!(matches!(reply(none), Err(Refusal::NotNow(NotNow::Daemon(_)))), "{}", none.escape_ascii());
    }
    let Err(Refusal::NotNow(NotNow::Daemon(why))) = reply(b"") else { panic!("not now was expected") };
    assert!(why.starts_with("the daemon closed without an answer ("), "{why}");
    // Courier's daemon reads the line and closes while the rest is unread.
    let unread = asked(LONG, |client| route(client, recipient("anna@x.example", 5)), drop);
    let Err(Refusal::NotNow(NotNow::Daemon(why))) = unread else { panic!("{unread:?}") };
    assert!(why.starts_with("the daemon did not read the request ("), "{why}");
}

#[test]
fn an_endless_reply_is_not_now() {
    let answer = against(LONG, |mut client| while client.write_all(&[b'x'; 4096]).is_ok() {});
    assert!(matches!(answer, Err(Refusal::NotNow(NotNow::Daemon(_)))));
}

#[test]
fn a_frozen_or_dripping_daemon_delays_only_to_the_deadline() {
    let patience = Duration::from_millis(300);
    let begin = Instant::now();
    let frozen = against(patience, |mut client| drop(client.read_to_end(&mut Vec::new())));
    let Err(Refusal::NotNow(NotNow::NoDaemon(why))) = frozen else { panic!("{frozen:?}") };
    assert!(why.starts_with("the daemon did not answer within ") && why.contains("frozen"), "{why}");
    let dripping = against(patience, |mut client| {
        while client.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(matches!(dripping, Err(Refusal::NotNow(NotNow::NoDaemon(_)))));
    let took = begin.elapsed();
    assert!(took >= patience * 2 && took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_full_backlog_delays_only_to_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    // One connection fills the backlog, so that the next one would wait.
    let _waiting: Vec<UnixStream> = (0..1).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    let begin = Instant::now();
    let answer = log_in(&Client::new(&socket, Duration::from_millis(300)), "anna", "secret");
    assert!(matches!(answer, Err(Refusal::NotNow(NotNow::NoDaemon(_)))), "{answer:?}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

fn of_script(script: &str, patience: Duration) -> Client {
    let command = ["/bin/sh", "-c", script].map(OsString::from);
    Client::for_program(command.into(), patience)
}

#[test]
fn a_program_can_answer_instead_of_the_daemon() {
    let question = || recipient("anna@x.example", 5);
    let echo = of_script("read -r line && echo \"OK $line\"", LONG);
    assert_eq!(route(&echo, question()), Ok("ASK recipient 5 anna@x.example".into()));
    let no = of_script("read -r line && echo FAIL", LONG);
    assert_eq!(route(&no, question()), Err(Refusal::No(No::Unexplained)));
    assert_eq!(log_in(&no, "anna", "secret"), Err(Refusal::No(No::Unexplained)));
    let record = of_script("read -r l; printf 'UID=5\\nGID=5\\nHOME=/h\\nADDRESS=anna\\n.\\n'", LONG);
    assert!(log_in(&record, "anna", "secret").is_ok());
}

#[test]
fn a_program_gets_an_empty_environment() {
    let env = of_script("read -r line; echo OK $(/usr/bin/env | /usr/bin/cut -d= -f1)", LONG);
    let Ok(names) = route(&env, recipient("anna", 5)) else { panic!("no answer") };
    // The shell sets some variables itself.
    assert!(names.split(' ').all(|name| ["PWD", "OLDPWD", "SHLVL", "_"].contains(&name)), "{names}");
}

#[test]
fn a_program_that_does_not_answer_is_not_now() {
    for script in ["exit 0", "exit 111", "kill -9 $$", "read -r line; exit 1", "echo nonsense", "exec <&- >&-"] {
        let answer = route(&of_script(script, LONG), recipient("anna", 5));
        assert!(matches!(answer, Err(Refusal::NotNow(NotNow::Daemon(_)))), "{script}: {answer:?}");
    }
    for command in [vec![], vec!["/nonexistent/program".into()], vec!["/etc/passwd".into()]] {
        let answer = route(&Client::for_program(command, LONG), recipient("anna", 5));
        assert!(matches!(answer, Err(Refusal::NotNow(NotNow::NoDaemon(_)))), "{answer:?}");
    }
}

#[test]
fn a_hanging_program_is_killed_in_time() {
    let patience = Duration::from_millis(300);
    for script in ["exec sleep 1000", "read -r line; exec sleep 1000", "trap '' TERM INT; while :; do :; done"] {
        let begin = Instant::now();
        let answer = route(&of_script(script, patience), recipient("anna", 5));
        assert!(matches!(answer, Err(Refusal::NotNow(NotNow::NoDaemon(_)))), "{script}: {answer:?}");
        let took = begin.elapsed();
        assert!(took >= patience && took < Duration::from_secs(10), "{script}: {took:?}");
    }
}

#[test]
fn no_process_and_no_zombie_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    for end in ["read -r line; echo OK", "exit 1", "exec sleep 1000", "echo OK; exec sleep 1000"] {
        let client = of_script(&format!("echo $$ >{}; {end}", file.display()), Duration::from_secs(1));
        let _ = route(&client, recipient("anna", 5));
        let process = std::fs::read_to_string(&file).unwrap();
        assert!(!std::path::Path::new("/proc").join(process.trim()).exists(), "{end}");
    }
}
