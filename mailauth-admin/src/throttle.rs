//! `mailauth throttle`: the wrong passwords that the daemon has counted.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{List, ListRow, json, say};
use crate::status::span;
use clap::{Args, Subcommand};
use mailauth_core::answer::{NotNow, Refusal};
use mailauth_core::spelling::readable_name;
use mailauth_core::throttle::Network;
use mailauth_protocol::client::Client;
use mailauth_protocol::throttle::{Cleared, Entry, Page, ThrottleQuestion};
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// Maximum time to wait for the answer of the daemon.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same, for commands with another purpose.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);

#[derive(Subcommand)]
pub enum Verb {
    List(Show),
    Clear(Clear),
}

/// List logins and networks whose refusals are delayed, or that are refused without trying the password
///
/// The daemon answers only root and its own user.
///
/// Exit codes: 0 the list is printed, 1 there is no entry for the given login or network, 75 no daemon answers.
#[derive(Args)]
pub struct Show {
    /// Login or network to list: an address such as 192.0.2.1, or a network such as 2001:db8::/64
    name: Option<String>,
    /// List all entries, including the known networks of logins
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reset the counters of wrong passwords of a login, of a network, or all of them
///
/// The known networks of logins are kept. The daemon accepts this only from root and its own user.
///
/// Exit codes: 0 done, 1 there is no entry for the given login or network, 75 no daemon answers.
#[derive(Args)]
pub struct Clear {
    /// Login or network to reset: an address such as 192.0.2.1, or a network such as 2001:db8::/64
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verb {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Verb::List(list) => list.run(context),
            Verb::Clear(clear) => clear.run(context),
        }
    }
}

impl Show {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let name = self.name.as_deref().map(|name| named(context, name)).transpose()?;
        let mut list = List::new(["LOGIN", "NETWORK", "WRONG", "LAST", "STATE"], self.json);
        let mut pages = Pages::new(context, name, self.all);
        let mut count = 0;
        // The first page says whether there is anything to list.
        let mut page = pages.next()?;
        while let Some(Page { enabled, entries, .. }) = page {
            if !enabled {
                return Err(Failure::no("the daemon does not count wrong passwords: [throttle] enabled is false"));
            }
            count += entries.len();
            entries.into_iter().try_for_each(|entry| list.add(&Row(entry)))?;
            page = pages.next()?;
        }
        match (&self.name, count) {
            (Some(name), 0) => Err(Failure::no(nothing(name, self.all))),
            (None, 0) if !self.json => {
                say("no login and no network is delayed or refused")?;
                Ok(Exit::Yes)
            }
            _ => {
                list.end()?;
                Ok(Exit::Yes)
            }
        }
    }
}

fn nothing(name: &str, all: bool) -> String {
    match all {
        true => format!("there is no entry for {name:?}, and no known network"),
        false => format!("{name:?} is neither delayed nor refused; --all lists all entries"),
    }
}

impl Clear {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let name = self.name.as_deref().map(|name| named(context, name)).transpose()?;
        let line = ask(context, &ThrottleQuestion::Clear(name), PATIENCE)?;
        let told = Cleared::parse(&line).map_err(unreadable)?;
        match (&self.name, told.cleared) {
            (Some(name), 0) => Err(Failure::no(format!("there is no entry for {name:?}"))),
            _ if self.json => {
                json(&told)?;
                Ok(Exit::Yes)
            }
            (_, cleared) => {
                say(format_args!("{cleared} {} reset", if cleared == 1 { "entry" } else { "entries" }))?;
                Ok(Exit::Yes)
            }
        }
    }
}

/// Returns the states of a login at the daemon, in words; empty if no daemon reports them.
pub fn states_of(context: &Context, login: &str) -> Vec<String> {
    let Ok(name) = named(context, login) else { return Vec::new() };
    let first = Pages { patience: SHORT_PATIENCE, ..Pages::new(context, Some(name), false) }.next();
    let entries = first.ok().flatten().map(|page| page.entries).unwrap_or_default();
    entries.iter().map(|entry| format!("from {}: {}, {} wrong", network(entry), state(entry), entry.wrong)).collect()
}

/// Returns the name in the form in which the daemon is asked for it.
fn named(context: &Context, name: &str) -> Result<Vec<u8>, Failure> {
    match name.parse::<Network>() {
        Ok(network) => Ok(network.to_string().into()),
        Err(_) => Ok(context.login(name)?.as_str().into()),
    }
}

/// All pages, one after the other.
struct Pages<'s> {
    context: &'s Context,
    name: Option<Vec<u8>>,
    all: bool,
    from: Option<usize>,
    patience: Duration,
}

impl<'s> Pages<'s> {
    fn new(context: &'s Context, name: Option<Vec<u8>>, all: bool) -> Self {
        Pages { context, name, all, from: Some(0), patience: PATIENCE }
    }

    fn next(&mut self) -> Result<Option<Page>, Failure> {
        let Some(from) = self.from else { return Ok(None) };
        let question = ThrottleQuestion::List { from, all: self.all, name: self.name.clone() };
        let line = ask(self.context, &question, self.patience)?;
        let page = Page::parse(&line).map_err(unreadable)?;
        // The position must advance, so that this ends whatever a daemon answers.
        self.from = page.next.filter(|next| *next > from);
        Ok(Some(page))
    }
}

fn ask(context: &Context, question: &ThrottleQuestion, patience: Duration) -> Result<String, Failure> {
    let daemon = Client::for_daemon(&context.config, patience);
    match daemon.throttle(question, Instant::now() + patience) {
        Ok(line) => Ok(line),
        Err(Refusal::No(_)) => Err(Failure::no(
            "the daemon reports its counters only to root and its own user; run this command as one of them",
        )),
        Err(Refusal::NotNow(NotNow::NoDaemon(why))) => Err(Failure::not_now(why)),
        Err(Refusal::NotNow(why)) => Err(Failure::not_now(format!(
            "{why}; Courier's authdaemond and older versions of mailauth-courier do not count wrong passwords"
        ))),
    }
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::not_now(format!(
        "the daemon's answer cannot be read: {error}; check that the daemon and this command have the same version"
    ))
}

/// An entry, as a row of a table or in JSON.
struct Row(Entry);

impl serde::Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl ListRow<5> for Row {
    fn cells(&self) -> [Cow<'_, str>; 5] {
        let Row(entry) = self;
        let login = entry.login.as_deref().map_or("all".into(), |login| readable_name(login).to_string().into());
        let last = format!("{} ago", span(entry.ago as f64));
        [login, network(entry).into(), entry.wrong.to_string().into(), last.into(), state(entry).into()]
    }
}

fn network(entry: &Entry) -> &str {
    match entry.network.as_str() {
        "none" => "no address",
        "unknown" => "unknown networks",
        network => network,
    }
}

fn state(entry: &Entry) -> String {
    let time = span(entry.seconds as f64);
    match entry.state.as_str() {
        "delayed" => format!("refusals are delayed for {time}"),
        "refused" => format!("refused without a try for {time}"),
        "slowed" => format!("one try a second for {time}"),
        "known" => format!("known for {time}"),
        state => state.to_owned(),
    }
}
