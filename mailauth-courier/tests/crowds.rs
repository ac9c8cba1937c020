//! Many clients, slow clients, and clients that may not connect.

mod harness;

use harness::*;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn a_thousand_silent_clients_do_not_delay_others() {
    let server = serve(&two_accounts());
    // This process holds the client's end of each connection too.
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.map(|most| most.min(8192)),
            ..rustix::process::getrlimit(rustix::process::Resource::Nofile)
        },
    )
    .unwrap();
    let mut idle: Vec<UnixStream> = (0..1000).map(|_| server.connect()).collect();
    for client in &mut idle[..500] {
        client.write_all(b"P").unwrap();
    }
    let login = |_| {
        let begin = Instant::now();
        assert_eq!(server.ask(auth("anna", "secret")), record("anna"));
        begin.elapsed()
    };
    let took = median((0..21).map(login).collect());
    assert!(took < Duration::from_millis(50), "{took:?}");
}

#[test]
fn blocked_look_ups_do_not_keep_clients_from_being_accepted() {
    let table = two_accounts();
    table.freeze();
    let server = serve_with(&table, |courier| courier.max_connections = 60);
    let mut stuck: Vec<UnixStream> = (0..40).map(|_| server.connect()).collect();
    for client in &mut stuck {
        client.write_all(pre("slow").as_bytes()).unwrap();
    }
    // Requests that arrived in pieces wait in the queue for look-ups; the others block the threads that accept.
    table.wait_for_waiting(4);
    let begin = Instant::now();
    assert_eq!(server.ask("HELO\n"), "", "a request without a look-up is answered");
    assert_eq!(server.ask("PRE other imap anna\n"), "FAIL\n");
    assert!(begin.elapsed() < Duration::from_secs(2));
    table.thaw();
    for client in &mut stuck {
        assert_eq!(read_to_end(client), record("slow"));
    }
}

#[test]
fn a_request_of_a_disconnected_client_is_not_looked_up() {
    let table = two_accounts();
    table.freeze();
    let server = serve(&table);
    let in_pieces = |request: String| {
        let mut client = server.connect();
        client.write_all(&request.as_bytes()[..5]).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        client.write_all(&request.as_bytes()[5..]).unwrap();
        client
    };
    // These block all threads for look-ups, and all that accept.
    let stuck: Vec<UnixStream> = (0..30).map(|_| in_pieces(pre("slow"))).collect();
    table.wait_for_waiting(4);
    let gone: Vec<UnixStream> = (0..5).map(|_| in_pieces(pre("anna"))).collect();
    let half_closed = in_pieces(pre("zoe"));
    half_close(&half_closed);
    drop(gone);
    table.thaw();
    for mut client in stuck {
        assert_eq!(read_to_end(&mut client), record("slow"));
    }
    let mut half_closed = half_closed;
    assert_eq!(read_to_end(&mut half_closed), "FAIL\n", "a client that has only ended its own side is answered");
    assert!(table.was_looked_up("zoe@x.example") && !table.was_looked_up("anna@x.example"));
}

#[test]
fn a_connection_beyond_the_limit_is_closed_at_once() {
    let server = serve_with(&two_accounts(), |courier| courier.max_connections = 3);
    let mut idle: Vec<UnixStream> = Vec::new();
    let answered = || {
        let mut client = server.connect();
        // The connection may be closed before the request is written.
        let _ = client.write_all(pre("anna").as_bytes());
        match read_to_end(&mut client) {
            reply if reply == record("anna") => true,
            reply => {
                assert!(reply.is_empty() || reply == "+RESET", "{reply}");
                false
            }
        }
    };
    // One of those three may be closed too, while the slot of an earlier client is not free yet.
    let is_open = |client: &UnixStream| {
        client.set_nonblocking(true).unwrap();
        (&*client).read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    let until = Instant::now() + LONG;
    loop {
        idle.retain(is_open);
        idle.extend((idle.len()..3).map(|_| server.connect()));
        let begin = Instant::now();
        if (0..10).all(|_| !answered()) && idle.iter().all(is_open) {
            assert!(begin.elapsed() < Duration::from_secs(2), "they are closed at once");
            break;
        }
        assert!(Instant::now() < until, "there is room for more than three");
    }
    drop(idle);
    while !answered() {
        assert!(Instant::now() < until, "there is never room again");
    }
}

#[test]
fn a_silent_client_is_closed_and_each_byte_extends_its_time() {
    let idle = Duration::from_millis(300);
    let server = serve_with(&two_accounts(), |courier| courier.idle = idle);
    let begin = Instant::now();
    let mut silent = server.connect();
    let mut talking = server.connect();
    for byte in pre("anna").bytes().take(10) {
        talking.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(60));
    }
    assert_eq!(read_to_end(&mut silent), "");
    assert!(begin.elapsed() >= idle);
    assert_eq!(read_to_end(&mut talking), "");
    assert!(begin.elapsed() >= Duration::from_millis(800), "{:?}", begin.elapsed());
}

#[test]
fn a_request_has_to_be_complete_within_its_time() {
    let server = serve_with(&two_accounts(), |courier| {
        courier.idle = Duration::from_secs(20);
        courier.request = Duration::from_millis(400);
    });
    let begin = Instant::now();
    let mut client = server.connect();
    client.write_all(b"PRE . im").unwrap();
    assert_eq!(read_to_end(&mut client), "");
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn unread_enumerations_delay_no_others_and_stay_complete() {
    let rows = (0..20_000).map(|n| row(&format!("u{n:05}@x.example"), ""));
    let server = serve(&Table::with(rows.chain([row("zoe@x.example", HASH)])));
    let mut unread: Vec<UnixStream> = (0..20).map(|_| server.connect()).collect();
    for client in &mut unread {
        client.write_all(b"ENUMERATE\n").unwrap();
        // The enumeration has begun when its first bytes have arrived.
        client.read_exact(&mut [0; 10]).unwrap();
    }
    let begin = Instant::now();
    assert_eq!(server.ask(auth("zoe", "secret")), record("zoe"));
    assert!(begin.elapsed() < Duration::from_secs(2));
    let list = read_to_end(&mut unread[7]);
    assert!(list.ends_with("\n.\n"));
    assert_eq!(list.lines().count(), 2 + 20_001 + 1);
}

#[test]
fn a_list_that_waits_for_the_database_delays_no_other_list() {
    let rows = (0..20_000).map(|n| row(&format!("u{n:05}@x.example"), ""));
    let table = Table::with(rows);
    let server = serve(&table);
    let enumerate = || {
        let mut client = server.connect();
        client.write_all(b"ENUMERATE\n").unwrap();
        client
    };
    let mut half_read = enumerate();
    half_read.read_exact(&mut [0; 10]).unwrap();
    table.freeze_lists();
    let mut frozen = enumerate();
    // It has been accepted when a later client is answered.
    assert_eq!(server.ask(pre("u00001")), record("u00001"));
    let list = read_to_end(&mut half_read);
    assert!(list.ends_with("\n.\n"), "{} lines", list.lines().count());
    frozen.set_nonblocking(true).unwrap();
    assert!(frozen.read(&mut [0; 10]).is_err(), "the wait ended too early");
    frozen.set_nonblocking(false).unwrap();
    table.thaw_lists();
    assert!(read_to_end(&mut frozen).ends_with("\n.\n"));
}

#[test]
fn many_concurrent_clients_get_their_own_answers() {
    let rows = (0..50).map(|n| row(&format!("u{n}@x.example"), HASH));
    let server = serve(&Table::with(rows));
    std::thread::scope(|scope| {
        for worker in 0..16 {
            let server = &server;
            scope.spawn(move || {
                for n in 0..100 {
                    let login = format!("u{}", (worker * 7 + n) % 50);
                    match n % 4 {
                        0 => assert_eq!(server.ask(pre(&login)), record(&login)),
                        1 => assert_eq!(server.ask(auth(&login, "wrong")), "FAIL\n"),
                        2 => assert_eq!(server.ask(auth("nobody", "secret")), "FAIL\n"),
                        _ => assert_eq!(server.ask(auth(&login, "secret")), record(&login)),
                    }
                }
            });
        }
    });
}

#[test]
fn a_user_on_no_list_is_closed_without_an_answer() {
    if is_not_root() {
        return;
    }
    let open_to_all = |courier: &mut mailauth_core::config::CourierConfig| courier.socket_mode = 0o666;
    let strict = serve_with(&two_accounts(), open_to_all);
    let guests = serve_with(&two_accounts(), |courier| {
        open_to_all(courier);
        courier.allow_users = vec!["65534".into()];
        courier.enumerate_users = vec!["root".into()];
        courier.passwd_users = vec!["root".into()];
    });
    [&strict, &guests].into_iter().for_each(open_folder);
    assert_eq!(strict.ask(pre("anna")), record("anna"));
    let answers = as_user(65534, || {
        let ask = |server: &Served, request: &str| {
            let mut client = server.connect();
            let _ = client.write_all(request.as_bytes());
            read_to_end(&mut client).replace("+RESET", "")
        };
        [
            ask(&strict, &pre("anna")),
            ask(&guests, &pre("anna")),
            ask(&guests, "ENUMERATE\n"),
            ask(&guests, "PASSWD imap\tanna\tsecret\tlong enough\n"),
        ]
    });
    assert_eq!(answers, [String::new(), record("anna"), String::new(), "FAIL\n".into()]);
    assert!(guests.ask("ENUMERATE\n").ends_with("\n.\n"));
}

#[test]
fn look_ups_do_not_wait_for_passwords_being_hashed() {
    // sha512-crypt with 200,000 rounds: some tens of milliseconds each.
    let heavy = "$6$rounds=200000$saltsalt$\
                 pUVKfOq1lRkpx0Xv7p0kPnQhA1Tr7qYJzYc2P4n0eGUz7r0Zh3i5Gg6Xh5b2v6K6q7Q8d9a1b2c3d4e5f6g7h.";
    let server = serve(&Table::with([row("anna@x.example", HASH), row("dear@x.example", heavy)]));
    let mut hashing: Vec<UnixStream> = (0..60).map(|_| server.connect()).collect();
    for client in &mut hashing {
        client.write_all(auth("dear", "secret").as_bytes()).unwrap();
    }
    let look_up = |_| {
        let begin = Instant::now();
        assert_eq!(server.ask(pre("anna")), record("anna"));
        begin.elapsed()
    };
    let took = median((0..11).map(look_up).collect());
    // The last one still waits for its turn.
    hashing[59].set_nonblocking(true).unwrap();
    assert!(hashing[59].read(&mut [0; 10]).is_err(), "the wait ended too early");
    hashing[59].set_nonblocking(false).unwrap();
    assert!(took < Duration::from_millis(500), "{took:?}");
    for client in &mut hashing {
        assert_eq!(read_to_end(client), "FAIL\n");
    }
}

#[test]
fn only_questions_about_recipients_wait_for_a_locked_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&Table::with([resident(folder.path(), "full"), row("anna@x.example", HASH)]));
    // The first question creates maildirsize.
    assert_eq!(server.ask(ask("recipient 10 full@x.example")), "OK\n");
    let lock = std::fs::File::open(folder.path().join("full/Maildir/maildirlock")).unwrap();
    lock.lock().unwrap();
    std::fs::remove_file(folder.path().join("full/Maildir/maildirsize")).unwrap();
    let begin = Instant::now();
    let mut waiting: Vec<UnixStream> = (0..20).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.write_all(ask("recipient 10 full@x.example").as_bytes()).unwrap();
    }
    let others = |_| {
        let begin = Instant::now();
        assert_eq!(server.ask(pre("anna")), record("anna"));
        assert_eq!(server.ask(auth("anna", "secret")), record("anna"));
        assert_eq!(server.ask(ask("domain x.example")), "OK\n");
        assert!(server.ask(ask("account full@x.example")).starts_with("OK login="));
        begin.elapsed()
    };
    let took = median((0..11).map(others).collect());
    assert!(took < Duration::from_secs(1), "{took:?}");
    for client in &mut waiting {
        assert_eq!(read_to_end(client), "OK\n");
    }
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_secs(1), "the question waits for the lock, then continues without it: {waited:?}");
    lock.unlock().unwrap();
}
