//! `mailauth init`.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{remark, say};
use mailauth_core::config::DatabaseConfig;
use mailauth_core::store::{Administration, Changed, Respelt, SchemaChange, SqlStore, open_single};
use std::time::Duration;

/// Maximum time for one change of a table, such as an index of millions of rows, in a database that answers.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Creates the schema, or brings it up to date.
pub fn run(context: &Context) -> Result<Exit, Failure> {
    let url = &context.database.url;
    let mut store = context.store()?;
    store.ensure_own()?;
    // A database that does not answer now fails within its usual deadline.
    if store.ask_hosts().iter().any(|host| host.live) {
        let deadline = context.database.deadline.max(PATIENCE);
        store = open_single(&DatabaseConfig { deadline, ..context.database.clone() })?;
    }
    match store.init()? {
        SchemaChange { from: 0, to } => say(format_args!("created the tables in {url} (schema version {to})"))?,
        SchemaChange { from, to } if from == to => {
            say(format_args!("the tables in {url} are up to date (schema version {to})"))?;
        }
        SchemaChange { from, to } => {
            say(format_args!("updated the tables in {url} from schema version {from} to {to}"))?
        }
    }
    if let Some(problem) = store.character_set()?.problem {
        remark(format_args!("warning: {problem}"));
    }
    respell(context, &store)
}

/// Changes names that former versions stored to the spelling that is looked up, and reports the changes.
fn respell(context: &Context, store: &SqlStore) -> Result<Exit, Failure> {
    let mailbox = &context.config.mailbox;
    let Respelt { domains, accounts, aliases, doubles, named } =
        context.change(store, &[Changed::Everything], |store| store.respell(mailbox))?;
    if domains + accounts + aliases > 0 {
        say(format_args!(
            "international names are now stored in their ASCII form (xn--); changed: domains {domains}, accounts \
             {accounts}, aliases {aliases}; stored mail was not moved"
        ))?;
    }
    if doubles > 0 {
        remark(format_args!("warning: these pairs of names differ only in spelling and are the same name:"));
        named.iter().for_each(|double| remark(format_args!("  {double}")));
        if doubles > named.len() as u64 {
            remark(format_args!("  and {} more", doubles - named.len() as u64));
        }
        remark(
            "If an account or alias exists in both spellings, the one in xn-- is used, and the other one was not changed. \
             Rename that one with 'mailauth account rename --exact', or remove it with 'mailauth account remove --exact', and \
             run 'mailauth init' again.",
        );
    }
    Ok(Exit::Yes)
}
