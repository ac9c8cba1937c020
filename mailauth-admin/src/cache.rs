//! `mailauth cache`: what the daemon keeps in memory.

use crate::context::{Context, read_domain};
use crate::failure::{Exit, Failure};
use crate::output::{json, printable, say};
use clap::{Args, Subcommand};
use mailauth_core::answer::{NotNow, Refusal};
use mailauth_core::store::Changed;
use mailauth_protocol::client::Client;
use mailauth_protocol::flushed::{Flushed, KEPT};
use std::time::{Duration, Instant};

/// Maximum time to wait for the answer of the daemon, which asks the database first.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Subcommand)]
pub enum Verb {
    Flush(Flush),
}

/// Make the daemon forget what it keeps in memory of a login, of an address, of a domain, or of everything
///
/// The daemon keeps rows of accounts for [cache] found, and verified passwords for [cache] verified_for. Changes by the
/// mailauth command take effect at once; after a change by SQL or by another program, this command makes the daemon read
/// the rows again, from a database host that has every change.
///
/// While no such host answers, nothing is forgotten, because what is kept may be all that lets users log in. The copy
/// for outages and the counters of wrong passwords are not touched. The daemon accepts this only from root and its own
/// user.
///
/// Exit codes: 0 done, 1 this user may not, 75 no daemon or no database answers, and nothing was forgotten.
#[derive(Args)]
pub struct Flush {
    /// Login, address or domain; everything if there is none
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verb {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Verb::Flush(flush) => flush.run(context),
        }
    }
}

impl Flush {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let name = self.name.as_deref().map(|name| named(context, name)).transpose()?;
        let flushed = ask(context, name.as_deref())?;
        if self.json {
            json(&flushed)?;
        } else {
            say(told(flushed, name.as_deref()))?;
        }
        Ok(Exit::Yes)
    }
}

/// Returns the name in the form in which the daemon knows it: that of a login if it can be one.
fn named(context: &Context, name: &str) -> Result<String, Failure> {
    if let Some(Changed::Alias(catch_all)) = Some(name).filter(|name| name.starts_with('@')).and_then(Changed::alias) {
        return Ok(catch_all);
    }
    // The daemon takes a name without '@' for a domain, and for a login without its domain.
    let is_login = name.contains('@') || name.contains(|c| context.config.login.separators.contains(c));
    match read_domain(name) {
        Ok(domain) if !is_login => Ok(domain.to_string()),
        _ => context.login(name).map(|login| login.to_string()),
    }
}

fn told(Flushed { rows, passwords }: Flushed, name: Option<&str>) -> String {
    let of_name = name.map(|name| format!(" of {}", printable(name))).unwrap_or_default();
    match (rows, passwords) {
        (0, 0) => format!("the daemon kept nothing{of_name}"),
        _ => format!("the daemon has forgotten {rows} look-ups and {passwords} verified passwords{of_name}"),
    }
}

fn ask(context: &Context, name: Option<&str>) -> Result<Flushed, Failure> {
    let patience = PATIENCE.max(context.config.database.deadline * 2);
    let daemon = Client::for_daemon(&context.config, patience);
    let line = match daemon.flush(name, Instant::now() + patience) {
        Ok(line) => line,
        Err(Refusal::No(_)) => {
            return Err(Failure::no(
                "the daemon accepts this only from root and its own user; run this command as one of them",
            ));
        }
        Err(Refusal::NotNow(NotNow::NoDaemon(why))) => return Err(Failure::not_now(why)),
        Err(Refusal::NotNow(NotNow::Daemon(why))) if why.contains(KEPT) => return Err(Failure::not_now(why)),
        Err(Refusal::NotNow(why)) => {
            let hint =
                "Courier's authdaemond keeps nothing, and older versions of mailauth-courier do not know this command";
            return Err(Failure::not_now(format!("{why}; {hint}")));
        }
    };
    Flushed::parse(&line).map_err(|error| {
        Failure::not_now(format!(
            "the daemon's answer cannot be read: {error}; check that the daemon and this command have the same version"
        ))
    })
}
