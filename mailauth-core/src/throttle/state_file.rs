//! The file in which what was counted outlives the process.
//!
//! Text, a line for each entry, with a checksum of all others at its end:
//!
//! ```text
//! mailauth-throttle 1
//! key HEX                                          of the prints
//! pair LOGIN NETWORK LEVEL TIME PRINT,PRINT...     "-" for clients without an address of their own
//! login LOGIN LEVEL TIME
//! site NETWORK LEVEL TIME
//! known LOGIN NETWORK=TIME,NETWORK=TIME...
//! sum HEX                                          SHA-256
//! ```

use super::count::Count;
use super::ledger::{Attacked, Books, Known, Ledger, MOST, MOST_KNOWN, Pair};
use super::network::{Network, Site};
use super::prints::{self, PrintKey, Prints};
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

/// Bytes of the longest line: a login with all the networks that are kept of it.
const MOST_OF_LINE: usize = 2048;

/// Lines of the longest file.
const MOST_LINES: usize = 4 * MOST + 3;

/// Why there is nothing to be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The system does not give it.
    #[error("{0}")]
    System(#[from] io::Error),
    /// It is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// Others could have written it.
    #[error("{0}")]
    Foreign(&'static str),
}

/// The last one first, and when a login came from there.
type KnownNetworks = Vec<(Network, u64)>;

/// All that is kept.
pub(super) struct Kept {
    key: PrintKey,
    pairs: Vec<(Arc<str>, Option<Network>, Count, Prints)>,
    logins: Vec<(Arc<str>, Count)>,
    sites: Vec<(Site, Count)>,
    known: Vec<(Arc<str>, KnownNetworks)>,
}

impl Kept {
    /// A copy of what the ledger has.
    pub fn of(ledger: &Ledger) -> Self {
        let now = ledger.now().as_secs();
        let mut books = ledger.books();
        books.sweep(now);
        Kept {
            key: ledger.key.clone(),
            pairs: books.pairs.iter().map(|((_, n), pair)| (pair.login.clone(), *n, pair.count, pair.prints)).collect(),
            logins: books.logins.iter().map(|(_, one)| (one.login.clone(), one.count)).collect(),
            sites: books.sites.iter().copied().collect(),
            known: books.known.iter().map(|(_, known)| (known.login.clone(), known.networks.clone())).collect(),
        }
    }

    /// Puts it into a ledger that is empty.
    pub fn into_ledger(self, ledger: &mut Ledger) {
        ledger.key = self.key;
        let mut books = Books::default();
        for (login, network, count, prints) in self.pairs {
            let id = ledger.id(&login);
            books.pairs.entry((id, network), || Pair { login, count, prints }, |_| 0);
        }
        for (login, count) in self.logins {
            let id = ledger.id(&login);
            books.logins.entry(id, || Attacked { login, count, next: 0.0 }, |_| 0);
        }
        for (site, count) in self.sites {
            books.sites.entry(site, || count, |_| 0);
        }
        for (login, networks) in self.known {
            let id = ledger.id(&login);
            books.known.entry(id, || Known { login, networks }, |_| 0);
        }
        *ledger.books() = books;
    }

    fn empty(key: PrintKey) -> Self {
        Kept { key, pairs: Vec::new(), logins: Vec::new(), sites: Vec::new(), known: Vec::new() }
    }

    fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{HEAD}")?;
        let mut key = Zeroizing::new(String::with_capacity(2 * prints::KEY));
        self.key.0.iter().for_each(|byte| _ = write!(key, "{byte:02x}"));
        writeln!(out, "key {}", *key)?;
        for (login, network, count, prints) in &self.pairs {
            let network = network.map_or_else(|| "-".to_owned(), |network| network.to_string());
            let (level, at) = count.parts();
            let prints: Vec<_> = prints.iter().map(|print| format!("{print:04x}")).collect();
            writeln!(out, "pair {login} {network} {level} {at} {}", prints.join(","))?;
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

    /// Takes a line of the file; `None` if it is none.
    fn take(&mut self, line: &str, now: u64) -> Option<()> {
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
                let prints = words.next()?.split(',').filter(|print| !print.is_empty());
                let prints = prints.map(|print| u16::from_str_radix(print, 16).ok()).collect::<Option<_>>()?;
                self.pairs.push((login(name)?, network, count, prints));
            }
            "login" => self.logins.push((login(name)?, count(&mut words, now)?)),
            "known" => {
                let networks = words.next()?.split(',').take(MOST_KNOWN).map(|text| {
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
    Count::kept(words.next()?.parse().ok()?, words.next()?.parse().ok()?, now)
}

fn login(name: &str) -> Option<Arc<str>> {
    Login::parse(name.as_bytes(), None).ok().map(|login| login.as_str().into())
}

/// Reads the file; `None` where there is none.
pub(super) fn read(path: &Path, now: u64) -> Result<Option<Kept>, Unusable> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(CWD, path, how, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(Unusable::Foreign("it is a link, which is not followed")),
        Err(errno) => return Err(Unusable::System(errno.into())),
    };
    is_ours(&file)?;
    read_lines(BufReader::new(File::from(file)), now).map(Some)
}

fn is_ours(file: &OwnedFd) -> Result<(), Unusable> {
    let stat = fstat(file).map_err(io::Error::from)?;
    let own = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        Err(Unusable::Foreign("it is no file"))
    } else if stat.st_uid != own && stat.st_uid != 0 {
        Err(Unusable::Foreign("it belongs to another user"))
    } else if stat.st_mode & 0o022 != 0 {
        Err(Unusable::Foreign("others may write to it"))
    } else {
        Ok(())
    }
}

fn read_lines(mut file: impl BufRead, now: u64) -> Result<Kept, Unusable> {
    let mut sum = Sha256::new();
    let mut kept: Option<Kept> = None;
    let mut line = Zeroizing::new(Vec::with_capacity(MOST_OF_LINE + 1));
    for number in 0..=MOST_LINES {
        line.clear();
        (&mut file).take(MOST_OF_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        let text = text.ok_or(Unusable::Damaged("a line has no end, or is no text"))?;
        match (number, &mut kept) {
            (0, _) if text == HEAD => {}
            (0, _) => return Err(Unusable::Damaged("it does not begin as such a file")),
            (1, _) => kept = Some(Kept::empty(key(text).ok_or(Unusable::Damaged("it has no key"))?)),
            (_, Some(_)) if text.starts_with("sum ") => {
                let whole = text.strip_prefix("sum ") == Some(&hex(&sum.finalize()));
                return kept.filter(|_| whole).ok_or(Unusable::Damaged("its checksum is another"));
            }
            (_, Some(kept)) => kept.take(text, now).ok_or(Unusable::Damaged("a line cannot be read"))?,
            (_, None) => return Err(Unusable::Damaged("it has no key")),
        }
        sum.update(&*line);
    }
    Err(Unusable::Damaged("it is too long"))
}

fn key(line: &str) -> Option<PrintKey> {
    let digits = line.strip_prefix("key ")?.as_bytes();
    let mut key = Zeroizing::new([0; prints::KEY]);
    if digits.len() != 2 * key.len() {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(PrintKey(key))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes to `inner` and adds up what was written.
struct Summed<W> {
    inner: W,
    sum: Sha256,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sum.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes the file as a whole: readers see the old one or the new one.
pub(super) fn write(path: &Path, kept: &Kept) -> io::Result<()> {
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
        // It is only litter, and removed before the next attempt.
        let _ = unlinkat(CWD, &new, AtFlags::empty());
    }
    written
}

fn fill(file: File, kept: &Kept) -> io::Result<()> {
    let mut out = Summed { inner: BufWriter::new(file), sum: Sha256::new() };
    kept.write_to(&mut out)?;
    let sum = hex(&out.sum.finalize());
    let mut out = out.inner;
    writeln!(out, "sum {sum}")?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(fdatasync(&file)?)
}
