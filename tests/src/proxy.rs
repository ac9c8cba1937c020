//! A proxy to a server that can lose or delay bytes, or cut replies in the middle.

use rustix::net::{AddressFamily, SocketType, connect_unspec};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What the proxy does to its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// Passes everything.
    Open,
    /// Delays each piece of a reply by this time.
    Slow(Duration),
    /// Passes replies byte by byte, with this pause after each.
    Trickle(Duration),
    /// Passes half of each piece of a reply, and then closes the connection.
    CutInReply,
    /// Resets every connection.
    Reset,
    /// Accepts connections and passes nothing.
    Blackhole,
}

/// A proxy on a port of 127.0.0.1 to another port of 127.0.0.1.
pub struct Proxy {
    port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    target: u16,
    /// Address of 127.0.0.0/8 that the server sees as that of the client.
    source: Ipv4Addr,
    mode: Mutex<ProxyMode>,
    open: Mutex<Vec<TcpStream>>,
    spoiled: AtomicUsize,
    over: AtomicBool,
}

impl Proxy {
    /// Starts a proxy that passes everything.
    ///
    /// # Panics
    /// Panics if no port is free.
    pub fn to(target: u16) -> Self {
        Self::from_to(Ipv4Addr::LOCALHOST, target)
    }

    /// Does the same, for a server that sees this address of 127.0.0.0/8 as that of its clients.
    ///
    /// # Panics
    /// Panics if no port is free.
    pub fn from_to(source: Ipv4Addr, target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let inner = Arc::new(Inner {
            target,
            source,
            mode: Mutex::new(ProxyMode::Open),
            open: Mutex::default(),
            spoiled: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let proxy = Proxy { port, inner: inner.clone() };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if inner.over.load(Ordering::Relaxed) {
                    return;
                }
                inner.take(client);
            }
        });
        proxy
    }

    /// Returns its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what it does from now on.
    pub fn set(&self, mode: ProxyMode) {
        *self.inner.mode() = mode;
        if mode == ProxyMode::Reset {
            self.inner.end_all(true);
        }
    }

    /// Returns the number of connections or pieces of replies that it has spoiled, which shows a test that its fault
    /// had an effect.
    pub fn spoiled(&self) -> usize {
        self.inner.spoiled.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port)); // it checks only when a client connects
        self.inner.end_all(false);
    }
}

impl Inner {
    fn mode(&self) -> MutexGuard<'_, ProxyMode> {
        self.mode.lock().expect("no panic with the lock held")
    }

    fn spoil(&self) {
        self.spoiled.fetch_add(1, Ordering::Relaxed);
    }

    fn end_all(&self, reset: bool) {
        for stream in self.open.lock().expect("no panic with the lock held").drain(..) {
            end(&stream, reset);
            if reset {
                self.spoil();
            }
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddrV4::new(self.source, 0))?;
        rustix::net::connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.target))?;
        Ok(socket.into())
    }

    fn take(self: &Arc<Self>, client: TcpStream) {
        let server = match *self.mode() {
            ProxyMode::Reset => None,
            _ => self.connect().ok(),
        };
        let Some(server) = server else {
            self.spoil();
            return end(&client, true);
        };
        let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let mut open = self.open.lock().expect("no panic with the lock held");
        open.retain(|stream| stream.peer_addr().is_ok());
        open.extend([copy(&client), copy(&server)]);
        let (requests, replies) = (self.clone(), self.clone());
        let (from, to) = (copy(&client), copy(&server));
        std::thread::spawn(move || requests.carry(from, to, false));
        std::thread::spawn(move || replies.carry(server, client, true));
    }

    /// Passes a piece byte by byte, until the mode changes.
    fn trickle(&self, to: &mut TcpStream, piece: &[u8], pause: Duration) -> io::Result<()> {
        for (sent, byte) in piece.iter().enumerate() {
            if *self.mode() != ProxyMode::Trickle(pause) {
                return to.write_all(piece.get(sent..).unwrap_or_default());
            }
            to.write_all(&[*byte])?;
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Passes bytes in one direction until either end is closed.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, replies: bool) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut piece = &buffer[..count];
            let mode = *self.mode();
            match mode {
                ProxyMode::Blackhole => {
                    self.spoil();
                    continue;
                }
                ProxyMode::Slow(pause) if replies => {
                    self.spoil();
                    std::thread::sleep(pause);
                }
                ProxyMode::Trickle(pause) if replies => {
                    self.spoil();
                    if self.trickle(&mut to, piece, pause).is_err() {
                        break;
                    }
                    continue;
                }
                ProxyMode::CutInReply if replies => {
                    self.spoil();
                    piece = &piece[..count / 2];
                }
                _ => {}
            }
            if to.write_all(piece).is_err() || (replies && mode == ProxyMode::CutInReply) {
                break;
            }
        }
        end(&from, false);
        end(&to, false);
    }
}

fn end(stream: &TcpStream, reset: bool) {
    // Disconnecting a socket without closing it resets the connection.
    if !reset || connect_unspec(stream).is_err() {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
