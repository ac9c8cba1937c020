//! The record on descriptor 3: login, password and timestamp.

use crate::End;
use mailauth_core::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd, read};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Descriptor from which the record is read.
pub const DESCRIPTOR: i32 = 3;

/// Maximum number of bytes of a record, from the contract.
pub const MAX: usize = 512;

/// Time in which the caller must write the whole record.
const PATIENCE: Duration = Duration::from_secs(60);

/// A record as it was received.
#[derive(Debug)]
pub struct Received {
    /// All bytes of the record.
    pub bytes: Secret,
    /// Descriptor 3, which the next program does not inherit.
    pub channel: OwnedFd,
}

/// The fields of a record.
#[derive(Debug)]
pub struct Record {
    /// The login, as the client sent it.
    pub login: Vec<u8>,
    /// The password, or the answer to a challenge.
    pub password: Secret,
    /// The timestamp of the server's greeting; empty if the record has none that ends with NUL.
    pub timestamp: Vec<u8>,
}

/// Why some bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than [`MAX`] bytes.
    #[error("the record on descriptor 3 is longer than {MAX} bytes")]
    TooLong,
    /// The login or the password does not end with NUL, so that the rest of it may be missing.
    #[error("the record on descriptor 3 ends in its {0}")]
    CutOff(&'static str),
}

impl Record {
    /// Reads a record. The timestamp may be missing; what follows it is ignored.
    ///
    /// # Errors
    /// Fails if the record is too long, or ends before the NUL of the password.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX {
            return Err(Malformed::TooLong);
        }
        let (login, rest) = field(bytes).ok_or(Malformed::CutOff("login"))?;
        let (password, rest) = field(rest).ok_or(Malformed::CutOff("password"))?;
        let timestamp = field(rest).map_or(&[][..], |(timestamp, _)| timestamp);
        Ok(Record { login: login.to_vec(), password: password.into(), timestamp: timestamp.to_vec() })
    }
}

/// Returns the bytes before the first NUL, and the bytes after it.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// Reads descriptor 3 to its end.
///
/// # Errors
/// Returns [`End::Misuse`] if the descriptor is not open, cannot be read, or has more bytes than a record.
pub fn receive() -> Result<Received, End> {
    // SAFETY: the descriptor is borrowed only to check whether it is open.
    let open = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(DESCRIPTOR) });
    open.map_err(|_| misuse("descriptor 3 is not open"))?;
    // SAFETY: the descriptor is open, and nothing else in this process uses it: this runs before anything is opened.
    let channel = unsafe { OwnedFd::from_raw_fd(DESCRIPTOR) };
    fcntl_setfd(&channel, FdFlags::CLOEXEC).map_err(|errno| not_now("descriptor 3 cannot be closed", errno))?;
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = Zeroizing::new([0; MAX + 1]);
    let mut length = 0;
    while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
        wait(channel.as_fd(), deadline)?;
        match read(&channel, room) {
            Ok(0) => {
                let bytes = buffer.get(..length).unwrap_or_default().into();
                return Ok(Received { bytes, channel });
            }
            Ok(count) => length += count,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(Errno::BADF | Errno::ISDIR | Errno::INVAL) => return Err(misuse("descriptor 3 cannot be read from")),
            Err(errno) => return Err(not_now("descriptor 3 cannot be read", errno)),
        }
    }
    Err(misuse(&Malformed::TooLong.to_string()))
}

fn wait(channel: BorrowedFd<'_>, deadline: Instant) -> Result<(), End> {
    let left = deadline.saturating_duration_since(Instant::now());
    let limit =
        Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
    match poll(&mut [PollFd::from_borrowed_fd(channel, PollFlags::IN)], Some(&limit)) {
        Ok(0) => {
            Err(End::NotNow("the record on descriptor 3 has no end; the caller has to close the descriptor".to_owned()))
        }
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(not_now("descriptor 3 cannot be waited for", errno)),
    }
}

fn misuse(what: &str) -> End {
    End::Misuse(format!(
        "{what}; a POP3 daemon or another mail server has to start this program and write a login there (see \
         https://cr.yp.to/checkpwd/interface.html). To try a login by hand, use --check"
    ))
}

fn not_now(what: &str, errno: Errno) -> End {
    End::NotNow(format!("{what}: {}", std::io::Error::from(errno)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns login, password and timestamp.
    type Fields = (Vec<u8>, Vec<u8>, Vec<u8>);

    fn fields(bytes: &[u8]) -> Result<Fields, Malformed> {
        Record::parse(bytes).map(|record| (record.login, record.password.expose().to_vec(), record.timestamp))
    }

    #[test]
    fn the_timestamp_may_be_missing_and_more_may_follow_it() {
        let read = |bytes: &[u8]| fields(bytes).unwrap();
        assert_eq!(read(b"anna\0secret\0<1@host>\0"), (b"anna".into(), b"secret".into(), b"<1@host>".into()));
        assert_eq!(read(b"anna\0secret\0<1@host>\0more\0"), read(b"anna\0secret\0<1@host>\0"));
        assert_eq!(read(b"anna\0secret\0"), (b"anna".into(), b"secret".into(), vec![]));
        assert_eq!(read(b"anna\0secret\0<1@ho").2, b"", "a timestamp that is cut off is ignored");
    }

    #[test]
    fn a_login_or_password_that_may_be_cut_off_is_refused() {
        assert_eq!(fields(b"").unwrap_err(), Malformed::CutOff("login"));
        assert_eq!(fields(b"anna").unwrap_err(), Malformed::CutOff("login"));
        assert_eq!(fields(b"anna\0secret").unwrap_err(), Malformed::CutOff("password"));
        let long = |length| [b"anna\0secret\0".to_vec(), vec![b'x'; length - 12]].concat();
        assert!(fields(&long(MAX)).is_ok());
        assert_eq!(fields(&long(MAX + 1)).unwrap_err(), Malformed::TooLong);
    }

    #[test]
    fn a_field_may_contain_every_byte_except_nul() {
        for byte in 1..=255_u8 {
            let record = [b"a", &[byte][..], b"\0p", &[byte], b"\0t", &[byte], b"\0"].concat();
            assert_eq!(fields(&record), Ok((vec![b'a', byte], vec![b'p', byte], vec![b't', byte])));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_that_is_in_them_or_an_error(bytes in prop::collection::vec(0_u8..4, 0..600)) {
            if let Ok((login, password, timestamp)) = fields(&bytes) {
                let start = [&login[..], b"\0", &password, b"\0", &timestamp].concat();
                prop_assert!(bytes.starts_with(&start) && bytes.len() <= MAX);
            }
        }
    }
}
