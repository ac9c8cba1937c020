//! A program that takes the place of a database server and sends any bytes to its clients.

use crate::scratch::User;
use rustix::process::{Gid, Uid};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A user without a name and without rights.
pub const STRANGER: User = User { uid: 64_242, gid: 64_242 };

/// A connection of either kind.
pub trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// Address of such a server.
enum Place {
    Port(u16),
    Socket(PathBuf),
}

/// The server. It runs until the test process ends.
pub struct FalseServer {
    place: Place,
    heard: Arc<Mutex<Vec<u8>>>,
}

/// One conversation. What the client sends is recorded.
pub struct Talk<'w> {
    wire: &'w mut dyn Wire,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Talk<'_> {
    /// Sends bytes.
    ///
    /// # Errors
    /// Fails if the client has disconnected.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)
    }

    /// Receives `count` bytes.
    ///
    /// # Errors
    /// Fails if the client has disconnected.
    pub fn hear(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.wire.read_exact(&mut bytes)?;
        self.heard.lock().expect("no panic").extend_from_slice(&bytes);
        Ok(bytes)
    }

    /// Receives everything until the client disconnects.
    pub fn hear_all(&mut self) {
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = self.wire.read(&mut bytes) {
            self.heard.lock().expect("no panic").extend_from_slice(&bytes[..count]);
        }
    }

    /// Receives a message of PostgreSQL: the first one, which has no type, or a later one.
    ///
    /// # Errors
    /// Fails if the client has disconnected.
    pub fn postgres(&mut self, is_first: bool) -> io::Result<Vec<u8>> {
        if !is_first {
            self.hear(1)?;
        }
        let length = u32::from_be_bytes(self.hear(4)?.try_into().expect("four bytes"));
        self.hear(usize::try_from(length).expect("a length").saturating_sub(4))
    }

    /// Receives a packet of MySQL, and returns its number and its content.
    ///
    /// # Errors
    /// Fails if the client has disconnected.
    pub fn mysql(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let head = self.hear(4)?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        Ok((head[3], self.hear(usize::try_from(length).expect("a length"))?))
    }

    /// Sends a packet of MySQL.
    ///
    /// # Errors
    /// Fails if the client has disconnected.
    pub fn say_mysql(&mut self, number: u8, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).expect("a short packet").to_le_bytes();
        self.say(&[&length[..3], &[number], body].concat())
    }
}

/// Returns a message of PostgreSQL.
pub fn postgres_message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

/// Returns a greeting of MySQL without TLS, which names this plugin.
pub fn mysql_greeting(plugin: &str) -> Vec<u8> {
    // Protocol::HandshakeV10: 4.1, a database to connect with, transactions, secure connection, plugin authentication.
    let mut greeting = b"\x0a8.4.0\0\x01\0\0\0abcdefgh\0".to_vec();
    greeting.extend([0x0d, 0xa2, 45, 2, 0, 0x08, 0x00, 21]);
    greeting.extend([0; 10]);
    greeting.extend(b"123456789012\0");
    greeting.extend(plugin.as_bytes());
    greeting.push(0);
    greeting
}

/// `OK` of MySQL.
pub const MYSQL_OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

impl FalseServer {
    /// Starts a server on a free port of the loopback interface, run by `user`, or by the user of the tests.
    ///
    /// # Panics
    /// Panics if no port is free.
    pub fn on_loopback(
        user: Option<User>,
        talk: impl Fn(&mut Talk<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let heard = Arc::default();
        let accept = move || listener.accept().map(|(stream, _)| Box::new(stream) as Box<dyn Wire + Send>);
        serve(user, Arc::clone(&heard), accept, talk);
        FalseServer { place: Place::Port(port), heard }
    }

    /// Starts a server on a unix socket in a folder of `user`, which runs it.
    ///
    /// # Panics
    /// Panics if the socket cannot be created.
    pub fn on_socket(
        path: &Path,
        user: User,
        talk: impl Fn(&mut Talk<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let at = path.to_owned();
        // Its clients see the user that it had when it began to listen.
        let bind = thread::spawn(move || {
            become_user(user);
            UnixListener::bind(at).expect("a socket")
        });
        let listener = bind.join().expect("a listener");
        let heard = Arc::default();
        let accept = move || listener.accept().map(|(stream, _)| Box::new(stream) as Box<dyn Wire + Send>);
        serve(Some(user), Arc::clone(&heard), accept, talk);
        FalseServer { place: Place::Socket(path.to_owned()), heard }
    }

    /// Returns its port.
    ///
    /// # Panics
    /// Panics if it listens on a unix socket.
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Port(port) => *port,
            Place::Socket(path) => panic!("it is on {}", path.display()),
        }
    }

    /// Returns all that clients have sent.
    ///
    /// # Panics
    /// Panics if the server has panicked.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().expect("no panic").clone()
    }

    /// Returns true if clients have sent this text.
    pub fn has_heard(&self, text: &str) -> bool {
        self.heard().windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// Changes the user of this thread only.
fn become_user(user: User) {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).expect("the right to");
    rustix::thread::set_thread_res_uid(uid, uid, uid).expect("the right to");
}

fn serve(
    user: Option<User>,
    heard: Arc<Mutex<Vec<u8>>>,
    accept: impl Fn() -> io::Result<Box<dyn Wire + Send>> + Send + 'static,
    talk: impl Fn(&mut Talk<'_>) -> io::Result<()> + Send + Sync + 'static,
) {
    let talk = Arc::new(talk);
    thread::spawn(move || {
        if let Some(user) = user {
            become_user(user);
        }
        while let Ok(mut wire) = accept() {
            let (talk, heard) = (talk.clone(), Arc::clone(&heard));
            thread::spawn(move || {
                let mut conversation = Talk { wire: &mut *wire, heard };
                if talk(&mut conversation).is_ok() {
                    conversation.hear_all();
                }
                // Leaves a client that gets no further question the time to disconnect itself.
                thread::sleep(Duration::from_millis(10));
            });
        }
    });
}
