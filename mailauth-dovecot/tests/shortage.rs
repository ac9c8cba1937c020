//! The server while its process may open no more descriptors. The limit is one of the whole process, so this test has a
//! process of its own.

use mailauth_dovecot::Scope;
use mailauth_dovecot::answerer::{Answerer, Ask, Told, Waiter};
use mailauth_dovecot::postfix::{ANSWERED_WITHIN, PolicyConversation};
use mailauth_dovecot::server::{Dialect, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Is never asked: the requests of this test need no question.
struct NeverAsked;

impl Answerer for NeverAsked {
    fn answer(&self, ask: Ask, _: &mut dyn FnMut() -> Box<dyn Waiter>) -> Option<Told> {
        panic!("{ask:?}");
    }
}

fn connect(socket: &Path) -> UnixStream {
    let client = UnixStream::connect(socket).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    client
}

fn ask(mut client: &UnixStream) {
    client.write_all(b"request=smtpd_access_policy\nrecipient=postmaster\n\n").unwrap();
    let mut reply = [0; "action=DUNNO\n\n".len()];
    client.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"action=DUNNO\n\n");
}

/// Returns the descriptors that use up the limit of this process.
fn use_up_descriptors() -> Vec<File> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn open_connections_are_served_while_no_other_can_be_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut server = Server::start(Arc::new(NeverAsked), 1, 100).unwrap();
    let dialect = Dialect::new("policy", |_| Ok(Box::new(PolicyConversation::new(ANSWERED_WITHIN))));
    server.listen(UnixListener::bind(&path).unwrap().into(), &dialect, Scope::all).unwrap();
    let open = connect(&path);
    ask(&open);

    let mut files = use_up_descriptors();
    drop(files.pop());
    // The client has the last descriptor, so that the server has none.
    let waiting = connect(&path);
    let mut times: Vec<Duration> = (0..51)
        .map(|_| {
            let begin = Instant::now();
            ask(&open);
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    assert_eq!(dialect.usage().accepted, 1);
    assert!(times[25] < Duration::from_millis(10), "half of the requests took {:?} or longer", times[25]);

    drop(files);
    ask(&waiting);
    server.stop(Instant::now() + Duration::from_secs(30));
}
