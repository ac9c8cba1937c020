//! `mailauth init`.

use crate::failure::{Exit, Failure};
use crate::output::say;
use crate::setup::Setup;
use mailauth_core::config::DatabaseConfig;
use mailauth_core::store::{Administration, SchemaChange, open_single};
use std::time::Duration;

/// The longest that one change of a table may take, such as an index of millions of rows, while the database answers.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Creates the schema, or brings it up to date.
pub fn run(setup: &Setup) -> Result<Exit, Failure> {
    let url = &setup.config.database.url;
    let mut store = setup.store()?;
    // One that does not answer now says so within its usual deadline.
    if store.ask_hosts().iter().any(|host| host.live) {
        let deadline = setup.config.database.deadline.max(PATIENCE);
        store = open_single(&DatabaseConfig { deadline, ..setup.config.database.clone() })?;
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
    Ok(Exit::Yes)
}
