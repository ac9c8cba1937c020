//! The file that saves the counts across restarts.
//!
//! It is text with a line for each entry. The last line is a checksum of all others:
//!
//! ```text
//! mailauth-throttle 1
//! key HEX                                          of the fingerprints
//! pair LOGIN NETWORK LEVEL TIME HEX,HEX...         fingerprints; "-" for clients without an address of their own
//! login LOGIN LEVEL TIME
//! site NETWORK LEVEL TIME
//! known LOGIN NETWORK=TIME,NETWORK=TIME...
//! sum HEX                                          SHA-256
//! ```

use super::count::Count;
use super::fingerprints::{self, FingerprintKey, RecentFingerprints};
use super::ledger::{KnownNetworks, Ledger, LoginCount, MAX_ENTRIES, MAX_KNOWN_NETWORKS, Pair, Tables};
use super::network::{Network, Site};
use crate::account::Login;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fdatasync, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

const HEAD: &str = "mailauth-throttle 1";

/// Maximum number of bytes of a line, which is a login with all its known networks.
const MAX_LINE: usize = 2048;

/// Maximum number of lines.
const MAX_LINES: usize = 4 * MAX_ENTRIES + 3;

/// Reasons why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The system cannot read it.
    #[error("{0}")]
    System(#[from] io::Error),
    /// Its content is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// Other users may have written it.
    #[error("{0}")]
    Foreign(&'static str),
}

/// Networks with the time of the last login from each, the most recent first.
type NetworkTimes = Vec<(Network, u64)>;

/// The content of the file.
pub(super) struct SavedState {
    key: FingerprintKey,
    pairs: Vec<(Arc<str>, Option<Network>, Count, RecentFingerprints)>,
    logins: Vec<(Arc<str>, Count)>,
    sites: Vec<(Site, Count)>,
    known: Vec<(Arc<str>, NetworkTimes)>,
}

impl SavedState {
    /// Returns a copy of the ledger's entries.
    pub fn of(ledger: &Ledger) -> Self {
        let now = ledger.now().as_secs();
        let mut tables = ledger.tables();
        tables.sweep(now);
        SavedState {
            key: ledger.key.clone(),
            pairs: tables
                .pairs
                .iter()
                .map(|((_, n), pair)| (pair.login.clone(), *n, pair.count, pair.fingerprints))
                .collect(),
            logins: tables.logins.iter().map(|(_, one)| (one.login.clone(), one.count)).collect(),
            sites: tables.sites.iter().copied().collect(),
            known: tables.known.iter().map(|(_, known)| (known.login.clone(), known.networks.clone())).collect(),
        }
    }

    /// Moves the entries into an empty ledger.
    pub fn into_ledger(self, ledger: &mut Ledger) {
        ledger.key = self.key;
        let mut tables = Tables::default();
        for (login, network, count, fingerprints) in self.pairs {
            let id = ledger.id(&login);
            tables.pairs.entry((id, network), || Pair { login, count, fingerprints }, |_| 0);
        }
        for (login, count) in self.logins {
            let id = ledger.id(&login);
            tables.logins.entry(id, || LoginCount { login, count, next: 0.0 }, |_| 0);
        }
        for (site, count) in self.sites {
            tables.sites.entry(site, || count, |_| 0);
        }
        for (login, networks) in self.known {
            let id = ledger.id(&login);
            tables.known.entry(id, || KnownNetworks { login, networks }, |_| 0);
        }
        *ledger.tables() = tables;
    }

    fn empty(key: FingerprintKey) -> Self {
        SavedState { key, pairs: Vec::new(), logins: Vec::new(), sites: Vec::new(), known: Vec::new() }
    }

    fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{HEAD}")?;
        let mut key = Zeroizing::new(String::with_capacity(2 * fingerprints::KEY));
        self.key.0.iter().for_each(|byte| _ = write!(key, "{byte:02x}"));
        writeln!(out, "key {}", *key)?;
        for (login, network, count, fingerprints) in &self.pairs {
            let network = network.map_or_else(|| "-".to_owned(), |network| network.to_string());
            let (level, at) = count.parts();
            let fingerprints: Vec<_> = fingerprints.iter().map(|fingerprint| format!("{fingerprint:04x}")).collect();
            writeln!(out, "pair {login} {network} {level} {at} {}", fingerprints.join(","))?;
        }
        for (login, count) in &self.logins {
            let (level, at) = count.parts();
            writeln!(out, "login {login} {level} {at}")?;
        }
        for (site, count) in &self.sites {
            let (level, at) = count.parts();
            writeln!(out, "site {site} {level} {at}")?;
        }
        for (login, networks) in &self.known {
            let networks: Vec<_> = networks.iter().map(|(network, at)| format!("{network}={at}")).collect();
            writeln!(out, "known {login} {}", networks.join(","))?;
        }
        Ok(())
    }

    /// Reads a line of the file; returns `None` if it is invalid.
    fn read_line(&mut self, line: &str, now: u64) -> Option<()> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let name = words.next()?;
        match kind {
            "site" => self.sites.push((name.parse::<Network>().ok()?.site(), count(&mut words, now)?)),
            "pair" => {
                let network = match words.next()? {
                    "-" => None,
                    network => Some(network.parse().ok()?),
                };
                let count = count(&mut words, now)?;
                let fingerprints = words.next()?.split(',').filter(|fingerprint| !fingerprint.is_empty());
                let fingerprints =
                    fingerprints.map(|fingerprint| u16::from_str_radix(fingerprint, 16).ok()).collect::<Option<_>>()?;
                self.pairs.push((login(name)?, network, count, fingerprints));
            }
            "login" => self.logins.push((login(name)?, count(&mut words, now)?)),
            "known" => {
                let networks = words.next()?.split(',').take(MAX_KNOWN_NETWORKS).map(|text| {
                    let (network, at) = text.split_once('=')?;
                    Some((network.parse().ok()?, at.parse::<u64>().ok()?.min(now)))
                });
                self.known.push((login(name)?, networks.collect::<Option<_>>()?));
            }
            _ => return None,
        }
        words.next().is_none().then_some(())
    }
}

fn count<'w>(words: &mut impl Iterator<Item = &'w str>, now: u64) -> Option<Count> {
    Count::restore(words.next()?.parse().ok()?, words.next()?.parse().ok()?, now)
}

fn login(name: &str) -> Option<Arc<str>> {
    Login::parse(name.as_bytes(), None).ok().map(|login| login.as_str().into())
}

/// Reads the file; returns `None` if it does not exist.
pub(super) fn read(path: &Path, now: u64) -> Result<Option<SavedState>, StateFileError> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(CWD, path, how, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(StateFileError::Foreign("it is a symbolic link, which is not followed")),
        Err(errno) => return Err(StateFileError::System(errno.into())),
    };
    check_owner(&file)?;
    read_lines(BufReader::new(File::from(file)), now).map(Some)
}

fn check_owner(file: &OwnedFd) -> Result<(), StateFileError> {
    let stat = fstat(file).map_err(io::Error::from)?;
    let own = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        Err(StateFileError::Foreign("it is not a regular file"))
    } else if stat.st_uid != own && stat.st_uid != 0 {
        Err(StateFileError::Foreign("it belongs to another user"))
    } else if stat.st_mode & 0o022 != 0 {
        Err(StateFileError::Foreign("other users may write to it"))
    } else {
        Ok(())
    }
}

fn read_lines(mut file: impl BufRead, now: u64) -> Result<SavedState, StateFileError> {
    let mut sum = Sha256::new();
    let mut kept: Option<SavedState> = None;
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE + 1));
    for number in 0..=MAX_LINES {
        line.clear();
        (&mut file).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        let text = text.ok_or(StateFileError::Damaged("a line has no end or is not UTF-8"))?;
        match (number, &mut kept) {
            (0, _) if text == HEAD => {}
            (0, _) => return Err(StateFileError::Damaged("it does not begin with the line of this format")),
            (1, _) => kept = Some(SavedState::empty(key(text).ok_or(StateFileError::Damaged("it has no key"))?)),
            (_, Some(_)) if text.starts_with("sum ") => {
                let whole = text.strip_prefix("sum ") == Some(&hex(&sum.finalize()));
                return kept.filter(|_| whole).ok_or(StateFileError::Damaged("its checksum is wrong"));
            }
            (_, Some(kept)) => kept.read_line(text, now).ok_or(StateFileError::Damaged("a line cannot be read"))?,
            (_, None) => return Err(StateFileError::Damaged("it has no key")),
        }
        sum.update(&*line);
    }
    Err(StateFileError::Damaged("it is too long"))
}

fn key(line: &str) -> Option<FingerprintKey> {
    let digits = line.strip_prefix("key ")?.as_bytes();
    let mut key = Zeroizing::new([0; fingerprints::KEY]);
    if digits.len() != 2 * key.len() {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(FingerprintKey(key))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A writer that computes the checksum of what it writes to `inner`.
struct ChecksumWriter<W> {
    inner: W,
    sum: Sha256,
}

impl<W: Write> Write for ChecksumWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sum.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Replaces the file atomically: readers see the old content or the new.
pub(super) fn write(path: &Path, kept: &SavedState) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let how = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match unlinkat(CWD, &new, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let file = File::from(openat(CWD, &new, how, Mode::RUSR | Mode::WUSR)?);
    let written = fill(file, kept).and_then(|()| Ok(renameat(CWD, &new, CWD, path)?));
    if written.is_err() {
        // If this fails, the incomplete file is removed before the next attempt.
        let _ = unlinkat(CWD, &new, AtFlags::empty());
    }
    written
}

fn fill(file: File, kept: &SavedState) -> io::Result<()> {
    let mut out = ChecksumWriter { inner: BufWriter::new(file), sum: Sha256::new() };
    kept.write_to(&mut out)?;
    let sum = hex(&out.sum.finalize());
    let mut out = out.inner;
    writeln!(out, "sum {sum}")?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(fdatasync(&file)?)
}
