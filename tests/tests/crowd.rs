//! Many clients, slow clients, and clients that do not read: none of them delays others.

use mailauth_tests::people::{ANNA, PASSWORD, SLOW_HASH, many, people};
use mailauth_tests::wire::{Manner, Outcome, ask, auth, connect, login, pre};
use mailauth_tests::{
    Accounts, Holdings, Kind, MailHost, Mailauth, Scratch, User, eventually, on_each_database, processor_time,
};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

on_each_database!(
    a_login_takes_under_50_ms_among_a_thousand_slow_clients,
    lookups_do_not_wait_for_hashing,
    questions_about_locked_mailboxes_delay_no_other_recipient,
);

fn accounts(kind: Kind) -> Accounts {
    // The test needs more descriptors than a shell allows by default.
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("more descriptors");
    Accounts::empty(kind).with(&people(Path::new("/var/mail")))
}

/// Returns the median time of good requests.
fn median(socket: &Path, request: &[u8], count: usize) -> Duration {
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let reply = ask(socket, request, Manner::Whole);
            assert_eq!(reply.outcome().word(), "ACCOUNT");
            reply.took
        })
        .collect();
    times.sort();
    times[count / 2]
}

/// Connects a thousand clients that never finish, in different ways.
fn slow_clients(socket: &Path) -> Vec<UnixStream> {
    let good = auth("imap", ANNA, PASSWORD);
    let beginnings = [&b""[..], b"A", b"PRE . im", &good[..8], &good[..good.len() - 2]];
    let open = |number: usize| {
        let mut client = connect(socket);
        client.write_all(beginnings[number % beginnings.len()]).expect("the beginning of a request");
        client
    };
    (0..1000).map(open).collect()
}

fn a_login_takes_under_50_ms_among_a_thousand_slow_clients(kind: Kind) {
    let accounts = accounts(kind);
    let server = Mailauth::over(&accounts);
    let slow = slow_clients(server.socket());
    let median = median(server.socket(), &auth("imap", ANNA, PASSWORD), 31);
    assert!(median < Duration::from_millis(50), "{median:?}");
    drop(slow);
}

/// Returns the number of waiting jobs in a queue of the daemon.
fn waiting(accounts: &Accounts, queue: &str) -> u64 {
    let status: Value = serde_json::from_str(&accounts.admin(&["status", "--json"], "")).expect("JSON");
    let queues = status["queues"].as_array().expect("queues");
    queues.iter().find(|found| found["name"] == queue).and_then(|found| found["waiting"].as_u64()).expect("a number")
}

fn lookups_do_not_wait_for_hashing(kind: Kind) {
    let accounts = accounts(kind).with(&format!("login,password\ndear@example.org,{SLOW_HASH}\n"));
    let server = Mailauth::with(&accounts, "request = \"8s\"");
    std::thread::scope(|scope| {
        let socket = server.socket();
        let hashing: Vec<_> = (0..40).map(|_| scope.spawn(|| login(socket, "dear@example.org", "wrong"))).collect();
        eventually("passwords that wait", Duration::from_secs(5), || waiting(&accounts, "hashing") > 10);
        let median = median(socket, &pre("imap", ANNA), 11);
        let busy = hashing.iter().filter(|client| !client.is_finished()).count();
        assert!(busy > 0, "the hashing was over before the look-ups");
        assert!(median < Duration::from_millis(200), "{median:?} with {busy} still hashing");
        for client in hashing {
            let got = client.join().expect("a client");
            assert!(matches!(got, Outcome::Fail | Outcome::Closed), "{got:?}");
        }
    });
}

/// Creates the Maildir of an account whose home is in `folder`, and returns its line for an import.
fn resident(folder: &Scratch, login: &str) -> String {
    let home = folder.join(login);
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(home.join("Maildir").join(part)).expect("a Maildir");
    }
    let User { uid, gid } = MailHost::OWNER;
    for path in [home.clone(), home.join("Maildir")] {
        chown(&path, Some(uid), Some(gid)).expect("its owner");
    }
    format!("{login},{},1000S\n", home.display())
}

fn questions_about_locked_mailboxes_delay_no_other_recipient(kind: Kind) {
    let folder = Scratch::new("locked");
    let stuck: Vec<String> = (0..20).map(|number| format!("stuck{number}@example.org")).collect();
    let all = stuck.iter().map(String::as_str).chain(["free@example.org"]);
    let residents: String = all.map(|login| resident(&folder, login)).collect();
    let accounts = accounts(kind).with(&format!("login,home,quota\n{residents}"));
    accounts.admin(&["alias", "add", "other@example.org", &stuck[0]], "");
    accounts.admin(&["alias", "add", "both@example.org", &stuck[0], "free@example.org"], "");
    let server = Mailauth::over(&accounts);
    let locks: Vec<fs::File> = stuck
        .iter()
        .map(|login| {
            let path = folder.join(login).join("Maildir/maildirlock");
            let lock = fs::File::create_new(&path).expect("the lock's file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
            chown(&path, Some(MailHost::OWNER.uid), Some(MailHost::OWNER.gid)).expect("its owner");
            flock(&lock, FlockOperation::LockExclusive).expect("the lock");
            lock
        })
        .collect();
    let questions = stuck.iter().chain(std::iter::repeat_n(&stuck[0], 10)).map(String::as_str);
    let questions = questions.chain(std::iter::repeat_n("other@example.org", 10));
    let waiting: Vec<UnixStream> = questions
        .map(|login| {
            let mut client = connect(server.socket());
            client.write_all(format!("ASK recipient 10 {login}\n").as_bytes()).expect("a request");
            client
        })
        .collect();
    // More rounds than there are threads: by then, each of the questions above has reached a thread, if it ever does.
    let mut times: Vec<Duration> = (0..31)
        .map(|_| {
            let reply = ask(server.socket(), b"ASK recipient 10 free@example.org\n", Manner::Whole);
            assert_eq!(reply.outcome(), Outcome::Done);
            reply.took
        })
        .collect();
    times.sort();
    assert!(times[30] < Duration::from_secs(2) && times[15] < Duration::from_millis(50), "{times:?}");
    let both = ask(server.socket(), b"ASK recipient 10 both@example.org\n", Manner::Whole);
    assert_eq!(both.outcome(), Outcome::Done, "one of the two has room");
    assert!(both.took < Duration::from_secs(5), "{:?}", both.took);
    drop(locks);
    for mut client in waiting {
        let mut reply = String::new();
        client.read_to_string(&mut reply).expect("a reply");
        assert_eq!(reply, "OK\n");
    }
}

mod with_a_server {
    use super::*;

    mailauth_tests::on_each_server!(a_client_that_closes_early_costs_no_processor_time);

    fn a_client_that_closes_early_costs_no_processor_time(kind: Kind) {
        let accounts = Accounts::on_own_server(kind).with(&people(Path::new("/var/mail")));
        let server = Mailauth::configured(|socket| {
            let config = Mailauth::config(&accounts, socket, "");
            // One thread that accepts and two for lookups: some requests wait for a thread, and others for the
            // database.
            let keys = "[cache]\nenabled = false\n[database]\npool = 1\ndeadline = \"8s\"";
            config.replacen("[database]", keys, 1)
        });
        assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
        accounts.server().freeze();
        let clients: Vec<UnixStream> = (0..12).map(|_| in_two_pieces(server.socket())).collect();
        for (number, client) in clients.iter().enumerate() {
            match number % 3 {
                0 => client.shutdown(Shutdown::Write).expect("half closed"),
                1 => drop(client.shutdown(Shutdown::Both)),
                _ => {}
            }
        }
        let before = processor_time(server.pid());
        std::thread::sleep(Duration::from_secs(1));
        let used = processor_time(server.pid()) - before;
        assert!(used < Duration::from_millis(150), "{used:?} of processor time in a second of waiting");
        accounts.server().thaw();
        for (number, mut client) in clients.into_iter().enumerate() {
            let mut reply = String::new();
            let _ = client.read_to_string(&mut reply);
            assert_eq!(reply.ends_with("\n.\n"), number % 3 != 1, "client {number}: {reply:?}");
        }
    }

    /// Sends a request so slowly that the thread for slow clients reads it.
    fn in_two_pieces(socket: &Path) -> UnixStream {
        let mut client = connect(socket);
        let request = auth("imap", ANNA, PASSWORD);
        let (first, second) = request.split_at(10);
        client.write_all(first).expect("the first piece");
        std::thread::sleep(Duration::from_millis(20));
        client.write_all(second).expect("the second piece");
        client
    }
}

#[test]
fn no_password_is_hashed_after_the_requests_deadline() {
    let accounts = accounts(Kind::Sqlite).with(&format!("login,password\ndear@example.org,{SLOW_HASH}\n"));
    let server = Mailauth::with(&accounts, "request = \"1s\"");
    let request = auth("imap", "dear@example.org", "wrong");
    let ask_once = || ask(server.socket(), &request, Manner::Whole);
    let replies: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..60).map(|_| scope.spawn(ask_once)).collect();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    for reply in &replies {
        assert!(matches!(reply.outcome(), Outcome::Fail | Outcome::Closed), "{:?}", reply.outcome());
        assert!(reply.took < Duration::from_secs(6), "{:?} for hashes of fifteen seconds", reply.took);
    }
    assert!(replies.iter().any(|reply| reply.outcome() == Outcome::Closed), "all sixty in a second");
    assert!(replies.iter().any(|reply| reply.outcome() == Outcome::Fail), "none at all");
}

#[test]
fn connections_over_the_limit_are_closed_at_once() {
    let accounts = accounts(Kind::Sqlite);
    let server = Mailauth::with(&accounts, "max_connections = 50");
    let mut idle: Vec<UnixStream> = Vec::new();
    let is_open = |client: &UnixStream| {
        client.set_nonblocking(true).expect("a socket");
        (&*client).read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    // Threads that accept at the same time may accept clients in any order, so that one of the fifty may be the
    // rejected one.
    eventually("fifty are accepted and no more", Duration::from_secs(60), || {
        idle.retain(is_open);
        idle.extend((idle.len()..50).map(|_| connect(server.socket())));
        let reply = ask(server.socket(), &auth("imap", ANNA, PASSWORD), Manner::Whole);
        reply.outcome() == Outcome::Closed && reply.took < Duration::from_secs(1) && idle.iter().all(is_open)
    });
    drop(idle);
    eventually("a login", Duration::from_secs(60), || login(server.socket(), ANNA, PASSWORD).word() == "ACCOUNT");
}

#[test]
fn a_hundred_unread_listings_delay_no_login() {
    let accounts = accounts(Kind::Sqlite).with(&many(5000));
    let server = Mailauth::over(&accounts);
    let unread: Vec<UnixStream> = (0..100)
        .map(|_| {
            let mut client = connect(server.socket());
            client.write_all(b"ENUMERATE\n").expect("a request");
            // The listing has begun once its first bytes arrive, or the request was refused.
            let _ = client.read(&mut [0; 10]).expect("the beginning or the end");
            client
        })
        .collect();
    let median = median(server.socket(), &auth("imap", ANNA, PASSWORD), 11);
    assert!(median < Duration::from_millis(100), "{median:?}");
    drop(unread);
}

#[test]
fn a_flood_of_connections_leaks_no_descriptor() {
    const FLOODS: usize = 40;
    // Files that a server may keep open afterwards: each of its database connections has a few.
    const FOR_GOOD: usize = 32;
    let accounts = accounts(Kind::Sqlite);
    let server = Mailauth::over(&accounts);
    let count = || Holdings::of(server.pid()).descriptors;
    let good = auth("imap", ANNA, PASSWORD);
    let before = count();
    for _ in 0..FLOODS {
        for length in 0..=good.len() {
            let mut client = connect(server.socket());
            let _ = client.write_all(&good[..length]);
        }
        assert_eq!(login(server.socket(), ANNA, PASSWORD).word(), "ACCOUNT");
    }
    // One for each flood would be more than that.
    eventually("its descriptors closed", Duration::from_secs(10), || count() <= before + FOR_GOOD);
}
