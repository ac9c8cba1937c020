//! `mailauth init`.

use crate::failure::{Exit, Failure};
use crate::output::say;
use crate::setup::Setup;
use mailauth_core::store::{Administration, SchemaChange};

/// Creates the schema, or brings it up to date.
pub fn run(setup: &Setup) -> Result<Exit, Failure> {
    let url = &setup.config.database.url;
    match setup.store()?.init()? {
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
