//! What was counted, for the administrator.

use super::Throttle;
use super::count::{Allowance, Count};
use super::ledger::{Books, Pair};
use super::network::Network;
use crate::account::Login;
use std::sync::Arc;

/// The most entries that are looked at for one page.
const LOOKED_AT: usize = 20_000;

/// Whose entries are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All.
    Everything,
    /// Those of a login.
    Login(Login),
    /// Those of a network, and of the site that it lies in.
    Network(Network),
}

/// What an entry counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wrong passwords of a login from a network.
    Pair,
    /// Wrong passwords of a login from all networks that it does not know.
    Login,
    /// Wrong passwords from a site, at all logins that do not know its networks.
    Site,
    /// Nothing: a network that a login knows.
    Known,
}

/// What a wrong password leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is counted.
    Counted,
    /// Its refusal is delayed.
    Delayed,
    /// One is tried each second, and the others are put off.
    Slowed,
    /// It is refused without being tried.
    Refused,
    /// The network is known.
    Known,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it counts.
    pub kind: Kind,
    /// Whose wrong passwords; none where it is of all logins.
    pub login: Option<Arc<str>>,
    /// From where, as text; none for clients without an address of their own, or for all networks.
    pub network: Option<String>,
    /// How many different ones are left of those that were counted.
    pub wrong: u32,
    /// What one more leads to.
    pub standing: Standing,
    /// In how many seconds that is better.
    pub seconds: u64,
    /// How many seconds ago the last one was, or the last login from a known network.
    pub ago: u64,
}

/// Some of the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where the next page begins, unless this is the last.
    pub next: Option<usize>,
}

impl Subject {
    /// A network or an address if it is one, and else a login.
    pub fn parse(text: &str, default_domain: Option<&str>) -> Option<Self> {
        if let Ok(network) = text.parse() {
            return Some(Subject::Network(network));
        }
        Login::parse(text.as_bytes(), default_domain).ok().map(Subject::Login)
    }

    fn is_about(&self, login: Option<&str>, network: Option<Network>) -> bool {
        match self {
            Subject::Everything => true,
            Subject::Login(wanted) => login == Some(wanted.as_str()),
            Subject::Network(wanted) => network == Some(*wanted),
        }
    }
}

impl Throttle {
    /// A page of at most `most` entries about `subject`, from the place `from` on. Unless `all` are wanted, those that stand
    /// in nobody's way are left out.
    pub fn list(&self, subject: &Subject, all: bool, from: usize, most: usize) -> Page {
        let now = self.ledger.now().as_secs();
        let books = self.ledger.books();
        let mut page = Page::default();
        for (place, entry) in self.entries(&books, subject, now).enumerate().skip(from) {
            if page.entries.len() >= most || place >= from.saturating_add(LOOKED_AT) {
                page.next = Some(place);
                break;
            }
            page.entries.extend(entry.filter(|entry| match entry.standing {
                Standing::Counted => all && entry.wrong > 0,
                Standing::Known => all,
                Standing::Delayed | Standing::Slowed | Standing::Refused => true,
            }));
        }
        page
    }

    /// Each entry that there is, in a fixed order, or nothing for one that is about something else.
    fn entries<'b>(
        &'b self,
        books: &'b Books,
        subject: &'b Subject,
        now: u64,
    ) -> impl Iterator<Item = Option<Entry>> + 'b {
        let pairs = books.pairs.iter().map(move |((id, network), pair)| {
            let is_known = network
                .is_none_or(|network| books.known_since(*id, network, self.config.remember.as_secs(), now).is_some());
            subject.is_about(Some(&pair.login), *network).then(|| self.of_pair(pair, *network, is_known, now))
        });
        let logins = books.logins.iter().map(move |(_, one)| {
            let (of, ago) = (&self.allowances.login, now.saturating_sub(one.count.parts().1));
            let slowed = one.count.level(of, now) > of.most as f32 - 1.0;
            let standing = if slowed { Standing::Slowed } else { Standing::Counted };
            let seconds = of.seconds_until_below(of.most as f32 - 1.0, &one.count, now);
            let wrong = one.count.level(of, now).ceil() as u32;
            let login = Some(Arc::clone(&one.login));
            let entry = Entry { kind: Kind::Login, login, network: None, wrong, standing, seconds, ago };
            subject.is_about(Some(&one.login), None).then_some(entry)
        });
        let sites = books.sites.iter().map(move |(site, count)| {
            let about = match subject {
                Subject::Everything => true,
                Subject::Login(_) => false,
                Subject::Network(network) => network.site() == *site,
            };
            let (standing, seconds) = self.standing(count, &self.allowances.site, true, now);
            about.then(|| Entry {
                kind: Kind::Site,
                login: None,
                network: Some(site.to_string()),
                wrong: count.level(&self.allowances.site, now).ceil() as u32,
                standing,
                seconds,
                ago: now.saturating_sub(count.parts().1),
            })
        });
        let known = books.known.iter().flat_map(move |(_, known)| {
            known.networks.iter().map(move |(network, at)| {
                let ago = now.saturating_sub(*at);
                let left = self.config.remember.as_secs().checked_sub(ago)?;
                subject.is_about(Some(&known.login), Some(*network)).then(|| Entry {
                    kind: Kind::Known,
                    login: Some(Arc::clone(&known.login)),
                    network: Some(network.to_string()),
                    wrong: 0,
                    standing: Standing::Known,
                    seconds: left,
                    ago,
                })
            })
        });
        pairs.chain(logins).chain(sites).chain(known)
    }

    fn of_pair(&self, pair: &Pair, network: Option<Network>, is_known: bool, now: u64) -> Entry {
        let of = &self.allowances.pair;
        let (standing, seconds) = self.standing(&pair.count, of, !is_known, now);
        Entry {
            kind: Kind::Pair,
            login: Some(Arc::clone(&pair.login)),
            network: network.map(|network| network.to_string()),
            wrong: pair.count.level(of, now).ceil() as u32,
            standing,
            seconds,
            ago: now.saturating_sub(pair.count.parts().1),
        }
    }

    /// What one more leads to, and when less.
    fn standing(&self, count: &Count, of: &Allowance, may_refuse: bool, now: u64) -> (Standing, u64) {
        let (level, most) = (count.level(of, now), of.most as f32);
        let until = |below: f32| of.seconds_until_below(below, count, now);
        if may_refuse && level > most * 2.0 - 1.0 {
            (Standing::Refused, until(most * 2.0 - 1.0))
        } else if level > most - 1.0 {
            (Standing::Delayed, until(most - 1.0))
        } else {
            (Standing::Counted, until(0.0))
        }
    }

    /// Forgets the wrong passwords of `subject`, and returns how many entries these were. Networks that are known stay so.
    pub fn clear(&self, subject: &Subject) -> usize {
        let mut books = self.ledger.books();
        let cleared = books.pairs.retain(|(_, network), pair| !subject.is_about(Some(&pair.login), *network))
            + books.logins.retain(|_, one| !subject.is_about(Some(&one.login), None))
            + books.sites.retain(|site, _| match subject {
                Subject::Everything => false,
                Subject::Login(_) => true,
                Subject::Network(network) => network.site() != *site,
            });
        drop(books);
        self.ledger.touch();
        cleared
    }
}
