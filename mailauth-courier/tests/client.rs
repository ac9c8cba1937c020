//! The client, against the server and against what else may be on a socket.

mod harness;

use harness::*;
use mailauth_core::account::LoginError;
use mailauth_core::authenticate::{Answer, Authority, Credential, No, NotNow, PasswordChange, Request};
use mailauth_core::{Account, Service};
use mailauth_courier::client::Client;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

fn request(login: &str, credential: Credential) -> Request {
    let deadline = Instant::now() + LONG;
    Request { service: Service::Imap, login: login.into(), credential, client: Some("::1".into()), deadline }
}

fn log_in(client: &Client, login: &str, password: &str) -> Answer<Box<Account>> {
    client.authenticate(request(login, Credential::Password(password.into())))
}

#[test]
fn a_client_of_our_server_gets_its_three_answers() {
    let table = two_accounts();
    let server = serve(&table);
    let client = Client::new(&server.socket, LONG);
    let Answer::Yes(account) = log_in(&client, "anna", "secret") else { panic!("not let in") };
    assert_eq!((account.login.as_str(), account.uid, account.gid), ("anna@x.example", 5000, 5001));
    assert_eq!((account.home.as_str(), account.maildir.as_deref()), ("/var/mail/x.example/anna", Some("Maildir")));
    let Answer::Yes(account) = client.authenticate(request("anna", Credential::Lookup)) else { panic!("not found") };
    assert_eq!(account.login.as_str(), "anna@x.example");
    assert_eq!(log_in(&client, "anna", "wrong"), Answer::No(No::Unexplained));
    table.fail(true);
    assert!(matches!(log_in(&client, "anna", "secret"), Answer::NotNow(NotNow::Daemon(_))));
    let change = PasswordChange { request: request("anna", Credential::Password("secret".into())), new: "x".into() };
    assert!(matches!(client.change_password(change), Answer::NotNow(NotNow::Daemon(_))));
}

#[test]
fn what_cannot_be_sent_fits_no_account_and_is_not_asked() {
    let nobody = Client::new("/nonexistent/socket", LONG);
    assert_eq!(log_in(&nobody, "anna", "a\nb"), Answer::No(No::UnusablePassword));
    assert_eq!(log_in(&nobody, "anna", ""), Answer::No(No::UnusablePassword));
    assert_eq!(log_in(&nobody, "", "secret"), Answer::No(No::UnusableLogin(LoginError::Empty)));
    assert_eq!(log_in(&nobody, "a\nb", "secret"), Answer::No(No::UnusableLogin(LoginError::Unprintable)));
}

#[test]
fn no_daemon_is_not_now() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let why = |socket| match log_in(&Client::new(socket, LONG), "anna", "secret") {
        Answer::NotNow(why @ NotNow::NoDaemon(_)) => why.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(why(socket.clone()).contains("No such file"), "{}", why(socket.clone()));
    drop(UnixListener::bind(&socket).unwrap());
    assert!(why(socket.clone()).contains("refused"), "{}", why(socket));
}

/// What a client makes of a daemon that does `act` with its connection.
fn against(patience: Duration, act: impl FnOnce(UnixStream) + Send) -> Answer<Box<Account>> {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| act(listener.accept().unwrap().0));
        log_in(&Client::new(&socket, patience), "anna", "secret")
    })
}

fn replying(reply: &'static [u8]) -> Answer<Box<Account>> {
    against(LONG, |mut client| {
        assert!(client.read(&mut [0; 1000]).unwrap() > 0);
        client.write_all(reply).unwrap();
    })
}

#[test]
fn a_reply_that_is_none_is_not_now() {
    for reply in [
        b"".as_slice(),
        b"FAIL",
        b"OK\n",
        b"UID=5\nGID=5\nHOME=/h\nADDRESS=anna\n",
        b"GID=5\nHOME=/h\nADDRESS=anna\n.\n",
        b"UID=5\nGID=5\nHOME=/h\nADDRESS=anna\nQUOTA=lots\n.\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        assert!(matches!(replying(reply), Answer::NotNow(NotNow::Daemon(_))), "{}", reply.escape_ascii());
    }
    assert_eq!(replying(b"FAIL\n"), Answer::No(No::Unexplained));
    assert!(matches!(replying(b"UID=5\nGID=5\nHOME=/h\nADDRESS=anna\n.\n"), Answer::Yes(_)));
}

#[test]
fn an_endless_reply_is_given_up() {
    let answer = against(LONG, |mut client| while client.write_all(&[b'x'; 4096]).is_ok() {});
    assert!(matches!(answer, Answer::NotNow(NotNow::Daemon(_))));
}

#[test]
fn a_daemon_that_is_frozen_or_drips_costs_no_more_than_the_deadline() {
    let patience = Duration::from_millis(300);
    let begin = Instant::now();
    let frozen = against(patience, |mut client| drop(client.read_to_end(&mut Vec::new())));
    assert!(matches!(frozen, Answer::NotNow(NotNow::NoDaemon(_))));
    let dripping = against(patience, |mut client| {
        while client.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(matches!(dripping, Answer::NotNow(NotNow::NoDaemon(_))));
    let took = begin.elapsed();
    assert!(took >= patience * 2 && took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_daemon_whose_backlog_is_full_costs_no_more_than_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    // As many as it takes until one more would wait.
    let _waiting: Vec<UnixStream> = (0..1).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    let begin = Instant::now();
    let answer = log_in(&Client::new(&socket, Duration::from_millis(300)), "anna", "secret");
    assert!(matches!(answer, Answer::NotNow(NotNow::NoDaemon(_))), "{answer:?}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}
