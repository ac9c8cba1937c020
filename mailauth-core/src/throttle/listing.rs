//! Lists the counts for the administrator, and clears them.

use super::Throttle;
use super::count::{Allowance, Count};
use super::ledger::{Pair, Tables};
use super::network::Network;
use crate::account::Login;
use std::sync::Arc;

/// Maximum number of entries that are examined for one page.
const MAX_EXAMINED: usize = 20_000;

/// Selects the entries that are listed or cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All entries.
    Everything,
    /// The entries of a login.
    Login(Login),
    /// The entries of a network, and of the site that contains it.
    Network(Network),
}

/// What an entry counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wrong passwords for a login from a network.
    Pair,
    /// Wrong passwords for a login from all networks that it does not know.
    Login,
    /// Wrong passwords from a site, for all logins that do not know its networks.
    Site,
    /// Nothing; it is a network that a login knows.
    Known,
}

/// The effect of one more wrong password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is counted.
    Counted,
    /// Its refusal is delayed.
    Delayed,
    /// One password per second is tried, and the others get "not now".
    Slowed,
    /// It is refused without being tried.
    Refused,
    /// The network is known.
    Known,
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it counts.
    pub kind: Kind,
    /// The login; `None` if the entry counts passwords for all logins.
    pub login: Option<Arc<str>>,
    /// The network or site; `None` for clients without an address of their own, or for all networks.
    pub network: Option<String>,
    /// The count of different wrong passwords at the present time.
    pub wrong: u32,
    /// The effect of one more wrong password.
    pub state: State,
    /// Seconds until the effect becomes weaker.
    pub seconds: u64,
    /// Seconds since the last wrong password, or since the last login from a known network.
    pub ago: u64,
}

/// A part of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries on this page.
    pub entries: Vec<Entry>,
    /// Index at which the next page begins; `None` for the last page.
    pub next: Option<usize>,
}

impl Subject {
    /// Parses a network or an address, or otherwise a login.
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
    /// Returns a page of at most `most` entries about `subject`, beginning at the index `from`. Unless `all` is set,
    /// entries that neither delay nor refuse anything are omitted.
    pub fn list(&self, subject: &Subject, all: bool, from: usize, most: usize) -> Page {
        let now = self.ledger.now().as_secs();
        let tables = self.ledger.tables();
        let mut page = Page::default();
        for (index, entry) in self.entries(&tables, subject, now).enumerate().skip(from) {
            if page.entries.len() >= most || index >= from.saturating_add(MAX_EXAMINED) {
                page.next = Some(index);
                break;
            }
            page.entries.extend(entry.filter(|entry| match entry.state {
                State::Counted => all && entry.wrong > 0,
                State::Known => all,
                State::Delayed | State::Slowed | State::Refused => true,
            }));
        }
        page
    }

    /// Returns all entries in a fixed order, with `None` in place of each entry that is not about `subject`.
    fn entries<'b>(
        &'b self,
        tables: &'b Tables,
        subject: &'b Subject,
        now: u64,
    ) -> impl Iterator<Item = Option<Entry>> + 'b {
        let pairs = tables.pairs.iter().map(move |((id, network), pair)| {
            let is_known = network
                .is_none_or(|network| tables.known_since(*id, network, self.config.remember.as_secs(), now).is_some());
            subject.is_about(Some(&pair.login), *network).then(|| self.of_pair(pair, *network, is_known, now))
        });
        let logins = tables.logins.iter().map(move |(_, one)| {
            let (of, ago) = (&self.allowances.login, now.saturating_sub(one.count.parts().1));
            let slowed = one.count.level(of, now) > of.most as f32 - 1.0;
            let state = if slowed { State::Slowed } else { State::Counted };
            let seconds = of.seconds_until_below(of.most as f32 - 1.0, &one.count, now);
            let wrong = one.count.level(of, now).ceil() as u32;
            let login = Some(Arc::clone(&one.login));
            let entry = Entry { kind: Kind::Login, login, network: None, wrong, state, seconds, ago };
            subject.is_about(Some(&one.login), None).then_some(entry)
        });
        let sites = tables.sites.iter().map(move |(site, count)| {
            let about = match subject {
                Subject::Everything => true,
                Subject::Login(_) => false,
                Subject::Network(network) => network.site() == *site,
            };
            let (state, seconds) = self.state(count, &self.allowances.site, true, now);
            about.then(|| Entry {
                kind: Kind::Site,
                login: None,
                network: Some(site.to_string()),
                wrong: count.level(&self.allowances.site, now).ceil() as u32,
                state,
                seconds,
                ago: now.saturating_sub(count.parts().1),
            })
        });
        let known = tables.known.iter().flat_map(move |(_, known)| {
            known.networks.iter().map(move |(network, at)| {
                let ago = now.saturating_sub(*at);
                let left = self.config.remember.as_secs().checked_sub(ago)?;
                subject.is_about(Some(&known.login), Some(*network)).then(|| Entry {
                    kind: Kind::Known,
                    login: Some(Arc::clone(&known.login)),
                    network: Some(network.to_string()),
                    wrong: 0,
                    state: State::Known,
                    seconds: left,
                    ago,
                })
            })
        });
        pairs.chain(logins).chain(sites).chain(known)
    }

    fn of_pair(&self, pair: &Pair, network: Option<Network>, is_known: bool, now: u64) -> Entry {
        let of = &self.allowances.pair;
        let (state, seconds) = self.state(&pair.count, of, !is_known, now);
        Entry {
            kind: Kind::Pair,
            login: Some(Arc::clone(&pair.login)),
            network: network.map(|network| network.to_string()),
            wrong: pair.count.level(of, now).ceil() as u32,
            state,
            seconds,
            ago: now.saturating_sub(pair.count.parts().1),
        }
    }

    /// Returns the effect of one more wrong password, and the seconds until it becomes weaker.
    fn state(&self, count: &Count, of: &Allowance, may_refuse: bool, now: u64) -> (State, u64) {
        let (level, most) = (count.level(of, now), of.most as f32);
        let until = |below: f32| of.seconds_until_below(below, count, now);
        if may_refuse && level > most * 2.0 - 1.0 {
            (State::Refused, until(most * 2.0 - 1.0))
        } else if level > most - 1.0 {
            (State::Delayed, until(most - 1.0))
        } else {
            (State::Counted, until(0.0))
        }
    }

    /// Removes the counts of `subject`, and returns their number. Known networks are not removed.
    pub fn clear(&self, subject: &Subject) -> usize {
        let mut tables = self.ledger.tables();
        let cleared = tables.pairs.retain(|(_, network), pair| !subject.is_about(Some(&pair.login), *network))
            + tables.logins.retain(|_, one| !subject.is_about(Some(&one.login), None))
            + tables.sites.retain(|site, _| match subject {
                Subject::Everything => false,
                Subject::Login(_) => true,
                Subject::Network(network) => network.site() != *site,
            });
        drop(tables);
        self.ledger.touch();
        cleared
    }
}
