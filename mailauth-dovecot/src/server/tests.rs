//! The server with conversations made for each story.

use super::*;
use crate::answerer::{Ask, Told, Waiter};
use crate::conversation::{Action, Conversation, QuestionNumber};
use mailauth_core::sync::Mutex;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// A conversation that greets, and answers each line: `now` at once, `later` when the test lets it, `panic` never, and
/// `close` after all others.
struct Lines {
    last: QuestionNumber,
    open: usize,
}

impl Conversation for Lines {
    fn greeting(&mut self) -> Vec<u8> {
        b"welcome\n".to_vec()
    }

    fn receive(&mut self, input: &[u8], actions: &mut Vec<Action>) {
        for line in input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match line {
                b"now" => actions.push(Action::Send(b"now\n".to_vec().into())),
                b"panic" => panic!("on purpose"),
                b"close" => actions.push(Action::CloseWhenAnswered),
                b"much" => actions.push(Action::Send(vec![b'x'; 100_000].into())),
                _ => {
                    (self.last, self.open) = (self.last + 1, self.open + 1);
                    actions.push(Action::Ask(self.last, Ask::Flush(None)));
                }
            }
        }
    }

    fn told(&mut self, number: QuestionNumber, told: Option<Told>, actions: &mut Vec<Action>) {
        self.open -= 1;
        let word = if told.is_some() { "told" } else { "unknown" };
        actions.push(Action::Send(format!("{number} {word}\n").into_bytes().into()));
    }

    fn in_flight(&self) -> usize {
        self.open
    }

    fn expiry(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, _: Instant, _: &mut Vec<Action>) {}
}

/// Keeps the questions until the test answers them.
struct Kept(Mutex<Sender<Box<dyn Waiter>>>);

impl Answerer for Kept {
    fn answer(&self, _: Ask, waiter: &mut dyn FnMut() -> Box<dyn Waiter>) -> Option<Told> {
        // The test may have ended.
        let _ = self.0.lock().send(waiter());
        None
    }
}

struct Story {
    server: Server,
    dialect: Arc<Dialect>,
    path: PathBuf,
    waiting: std::sync::mpsc::Receiver<Box<dyn Waiter>>,
    _folder: tempfile::TempDir,
}

fn story(max_connections: usize) -> Story {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let (sender, waiting) = channel();
    let mut server = Server::start(Arc::new(Kept(Mutex::new(sender))), 2, max_connections).unwrap();
    let dialect = Dialect::new("lines", |_| Ok(Box::new(Lines { last: 0, open: 0 })));
    server.listen(UnixListener::bind(&path).unwrap().into(), &dialect, Scope::all).unwrap();
    Story { server, dialect, path, waiting, _folder: folder }
}

/// A client that has read the greeting.
struct Client(BufReader<UnixStream>);

impl Client {
    fn of(story: &Story) -> Self {
        let socket = UnixStream::connect(&story.path).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let mut client = Client(BufReader::new(socket));
        assert_eq!(client.line(), "welcome\n");
        client
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Returns the next line; empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }
}

fn flushed() -> Told {
    Told::Flushed(Ok(Default::default()))
}

#[test]
fn answers_come_as_they_are_found_and_not_in_the_order_of_the_questions() {
    let story = story(10);
    let mut client = Client::of(&story);
    client.say("later\nlater\nnow\n");
    assert_eq!(client.line(), "now\n");
    let [first, second] = [(); 2].map(|()| story.waiting.recv_timeout(LONG).unwrap());
    second.tell(flushed());
    assert_eq!(client.line(), "2 told\n");
    // A question that is dropped is not known.
    drop(first);
    assert_eq!(client.line(), "1 unknown\n");
    assert_eq!(story.dialect.usage(), DialectUse { open: 1, accepted: 1, asked: 2, turned_away: 0 });
}

#[test]
fn a_panic_closes_its_own_connection_only() {
    let story = story(10);
    let mut clients = [(); 4].map(|()| Client::of(&story));
    clients[0].say("panic\n");
    assert_eq!(clients[0].line(), "");
    for client in &mut clients[1..] {
        client.say("now\n");
        assert_eq!(client.line(), "now\n");
    }
}

#[test]
fn a_client_that_reads_nothing_is_not_read_from_and_delays_no_other() {
    let story = story(10);
    let mut stuck = UnixStream::connect(&story.path).unwrap();
    stuck.set_nonblocking(true).unwrap();
    // The server reads until the answers do not fit, and then no more.
    let mut written = 0;
    let ends = Instant::now() + LONG;
    let mut idle_since = Instant::now();
    while idle_since.elapsed() < Duration::from_millis(500) {
        assert!(Instant::now() < ends, "{written} bytes were read");
        match stuck.write(b"much\n") {
            Ok(count) => (written, idle_since) = (written + count, Instant::now()),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    let mut client = Client::of(&story);
    client.say("now\n");
    assert_eq!(client.line(), "now\n");
}

#[test]
fn a_client_that_leaves_wants_no_answer() {
    let story = story(10);
    let mut client = Client::of(&story);
    client.say("later\n");
    let waiter = story.waiting.recv_timeout(LONG).unwrap();
    assert!(waiter.is_wanted());
    drop(client);
    let ends = Instant::now() + LONG;
    while waiter.is_wanted() {
        assert!(Instant::now() < ends);
        std::thread::sleep(Duration::from_millis(5));
    }
    waiter.tell(flushed());
}

#[test]
fn a_client_that_ends_its_side_gets_its_answers_first() {
    let story = story(10);
    let mut client = Client::of(&story);
    client.say("later\n");
    client.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    story.waiting.recv_timeout(LONG).unwrap().tell(flushed());
    assert_eq!((client.line().as_str(), client.line().as_str()), ("1 told\n", ""));
}

#[test]
fn what_was_asked_is_answered_before_a_connection_or_the_server_is_closed() {
    let story = story(10);
    let (mut closed, mut stopped) = (Client::of(&story), Client::of(&story));
    closed.say("later\nclose\n");
    let of_closed = story.waiting.recv_timeout(LONG).unwrap();
    stopped.say("later\n");
    let of_stopped = story.waiting.recv_timeout(LONG).unwrap();
    of_closed.tell(flushed());
    assert_eq!((closed.line().as_str(), closed.line().as_str()), ("1 told\n", ""));
    let server = story.server;
    let stopping = std::thread::spawn(move || server.stop(Instant::now() + LONG));
    of_stopped.tell(flushed());
    assert_eq!((stopped.line().as_str(), stopped.line().as_str()), ("1 told\n", ""));
    stopping.join().unwrap();
    assert_eq!(story.dialect.usage().open, 0);
}

#[test]
fn a_request_that_has_arrived_is_answered_before_the_server_stops() {
    for _ in 0..20 {
        let story = story(10);
        let mut client = Client::of(&story);
        client.say("now\n");
        story.server.stop(Instant::now() + LONG);
        assert_eq!((client.line().as_str(), client.line().as_str()), ("now\n", ""));
    }
}

#[test]
fn too_many_connections_are_closed_at_once_and_their_places_are_used_again() {
    let story = story(2);
    let clients = [(); 2].map(|()| Client::of(&story));
    let mut third = UnixStream::connect(&story.path).unwrap();
    third.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(third.read(&mut [0; 10]).unwrap(), 0, "no greeting");
    assert_eq!(story.dialect.usage().turned_away, 1);
    drop(clients);
    let ends = Instant::now() + LONG;
    while story.dialect.usage().open > 0 {
        assert!(Instant::now() < ends);
        std::thread::sleep(Duration::from_millis(5));
    }
    Client::of(&story);
}
