//! Finds the user that owns the other end of a local TCP connection, in the kernel's list of connections.
//!
//! Any user may listen on a server's port while the server restarts. Linux lists for each socket the user that owns it:
//! proc(5), `/proc/[pid]/net/tcp`.

use rustix::process::Uid;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};

/// Maximum number of connections in the list that are searched.
const MAX_CONNECTIONS: usize = 1 << 20;

/// Code in the list for a connection that is open at both ends.
const ESTABLISHED: &str = "01";

/// The two ends of a TCP connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::driver) struct TcpEnds {
    here: SocketAddr,
    there: SocketAddr,
}

/// The owner of the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::driver) enum Owner {
    /// A process of this user has it open.
    User(Uid),
    /// It is on this machine, and no process has it open any more.
    Gone,
    /// It is not in the list: packets are forwarded to another machine or network namespace, such as a container.
    Elsewhere,
}

impl TcpEnds {
    /// Returns the ends of a connection.
    pub(in crate::store::driver) fn of(stream: &TcpStream) -> io::Result<Self> {
        Ok(TcpEnds { here: stream.local_addr()?, there: stream.peer_addr()? })
    }

    /// Returns true if the connection does not leave this machine.
    pub(in crate::store::driver) fn are_local(&self) -> bool {
        self.there.ip().to_canonical().is_loopback() || self.here.ip() == self.there.ip()
    }

    /// Returns the owner of the other end. A connection that the server has not accepted yet has no owner, so call this
    /// only after it has sent something.
    pub(in crate::store::driver) fn owner(&self) -> io::Result<Owner> {
        // The connections of a server that listens on all IPv4 and IPv6 addresses are only in the second list.
        for list in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            match File::open(list) {
                Ok(file) => match self.find(BufReader::new(file))? {
                    Owner::Elsewhere => {}
                    found => return Ok(found),
                },
                // Without IPv6 there is no second list.
                Err(error) if error.kind() == io::ErrorKind::NotFound && list.ends_with('6') => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Owner::Elsewhere)
    }

    /// Searches one list for the other end.
    fn find(&self, list: impl BufRead) -> io::Result<Owner> {
        let (here, there) = (canonical(self.here), canonical(self.there));
        for line in list.lines().skip(1).take(MAX_CONNECTIONS) {
            let line = line?;
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (local, remote) = (fields.next().and_then(end), fields.next().and_then(end));
            if local != Some(there) || remote != Some(here) {
                continue;
            }
            let state = fields.next();
            let uid = fields.nth(3).and_then(|uid| uid.parse().ok()).map(Uid::from_raw);
            let inode = fields.nth(1);
            // A connection without a file has no owner, and is listed as root's.
            return Ok(match (state, uid, inode) {
                (Some(ESTABLISHED), Some(uid), Some(inode)) if inode != "0" => Owner::User(uid),
                _ => Owner::Gone,
            });
        }
        Ok(Owner::Elsewhere)
    }
}

/// Converts an IPv4-mapped IPv6 address to IPv4.
fn canonical(at: SocketAddr) -> (IpAddr, u16) {
    (at.ip().to_canonical(), at.port())
}

/// Parses one end in the list: the 32-bit words of its address in hexadecimal, each in this machine's byte order, and
/// the port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let address = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener};

    /// Returns both ends of a new connection.
    fn pair(listen: &str, connect: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(listen).unwrap();
        let client = TcpStream::connect((connect, listener.local_addr().unwrap().port())).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn the_other_end_belongs_to_the_user_that_accepted_it() {
        let me = rustix::process::geteuid();
        let mut listens = vec![("127.0.0.1:0", "127.0.0.1")];
        if TcpListener::bind("[::]:0").is_ok() {
            listens.push(("[::]:0", "127.0.0.1"));
            listens.push(("[::1]:0", "::1"));
        }
        for (listen, connect) in listens {
            let (client, _server) = pair(listen, connect);
            let ends = TcpEnds::of(&client).unwrap();
            assert!(ends.are_local(), "{ends:?}");
            assert_eq!(ends.owner().unwrap(), Owner::User(me), "{listen} {connect}");
        }
    }

    #[test]
    fn an_end_that_is_closed_or_not_accepted_belongs_to_no_user() {
        let (mut client, mut server) = pair("127.0.0.1:0", "127.0.0.1");
        let ends = TcpEnds::of(&client).unwrap();
        server.write_all(b"x").unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        drop(server);
        let _ = client.read(&mut [0; 8]).unwrap();
        assert_ne!(ends.owner().unwrap(), Owner::User(rustix::process::geteuid()));
        assert_ne!(ends.owner().unwrap(), Owner::User(Uid::ROOT));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(TcpEnds::of(&client).unwrap().owner().unwrap(), Owner::Gone, "in the queue of the listener");
    }

    #[test]
    fn a_line_of_the_list_is_parsed_as_documented_in_proc_5() {
        let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let (near, mapped) = (word([127, 0, 0, 1]), word([0, 0, 0xff, 0xff]));
        let six = format!("00000000{}{mapped}{near}", "00000000");
        assert_eq!(end(&format!("{near}:0CEA")), Some((IpAddr::from([127, 0, 0, 1]), 3306)));
        assert_eq!(end(&format!("{six}:1538")), Some((IpAddr::from([127, 0, 0, 1]), 5432)));
        for text in ["", ":", "7F:1", "zzzzzzzz:0CEA", "0100007F", "0100007F:1CEAF"] {
            assert_eq!(end(text), None, "{text}");
        }
        let ends = TcpEnds { here: "127.0.0.1:40000".parse().unwrap(), there: "127.0.0.1:3306".parse().unwrap() };
        let line = |state: &str, uid: u32, inode: u32| {
            format!("head\n 0: {near}:0CEA {near}:9C40 {state} 0:0 00:0 0 {uid} 0 {inode} 1 x\n")
        };
        let found = |text: String| ends.find(text.as_bytes()).unwrap();
        assert_eq!(found(line("01", 114, 77)), Owner::User(Uid::from_raw(114)));
        assert_eq!(found(line("01", 0, 0)), Owner::Gone);
        assert_eq!(found(line("05", 114, 77)), Owner::Gone);
        assert_eq!(found("head\n".into()), Owner::Elsewhere);
    }
}
