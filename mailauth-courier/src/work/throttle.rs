//! The answer to `THROTTLE`: the wrong passwords that this daemon has counted.

use crate::live_config::LiveConfig;
use mailauth_core::throttle::{self, Kind, State, Subject};
use mailauth_protocol::throttle::{Cleared, Entry, Page, ThrottleQuestion};

/// Maximum number of entries on a page.
const MAX_ENTRIES: usize = 64;

/// Returns the answer as JSON on one line, or `None` for a name for which nothing can be counted.
pub(crate) fn answer(question: &ThrottleQuestion, config: &LiveConfig) -> Option<String> {
    let (ThrottleQuestion::List { name, .. } | ThrottleQuestion::Clear(name)) = question;
    let authenticator = &config.backend.authenticator;
    let subject = match name {
        Some(name) => Subject::parse(std::str::from_utf8(name).ok()?, authenticator.default_domain())?,
        None => Subject::Everything,
    };
    match (question, authenticator.throttle()) {
        (ThrottleQuestion::List { .. }, None) => Page::default().line(),
        (ThrottleQuestion::List { from, all, .. }, Some(throttle)) => {
            let mut most = MAX_ENTRIES;
            loop {
                let page = throttle.list(&subject, *all, *from, most);
                let entries = page.entries.into_iter().map(entry).collect();
                let line = Page { enabled: true, entries, next: page.next }.line();
                // A single entry always fits.
                if line.is_some() || most == 1 {
                    return line;
                }
                most /= 2;
            }
        }
        (ThrottleQuestion::Clear(_), throttle) => {
            let cleared = throttle.map_or(0, |throttle| throttle.clear(&subject));
            Some(Cleared { cleared }.line())
        }
    }
}

fn entry(entry: throttle::Entry) -> Entry {
    let without_network = match entry.kind {
        Kind::Login => "unknown",
        Kind::Pair | Kind::Site | Kind::Known => "none",
    };
    let state = match entry.state {
        State::Counted => "counted",
        State::Delayed => "delayed",
        State::Slowed => "slowed",
        State::Refused => "refused",
        State::Known => "known",
    };
    Entry {
        login: entry.login.map(|login| login.as_ref().to_owned()),
        network: entry.network.unwrap_or_else(|| without_network.to_owned()),
        wrong: entry.wrong,
        state: state.to_owned(),
        seconds: entry.seconds,
        ago: entry.ago,
    }
}
