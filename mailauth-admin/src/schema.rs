//! `mailauth schema`: how the tables of another program are read, and what their rows mean.

mod grants;
mod indexes;
mod listed;
mod meaning;
mod show;
mod tally;
mod try_rows;

pub use grants::Grants;
pub use indexes::{SORTS, sentence};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Subcommand)]
pub enum Verb {
    /// Show the statements over the tables of another program, how the database runs them, and the rights that they need
    ///
    /// Exit codes: 0 the database runs every statement, 1 it refuses some.
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read some rows, and show what each means and why a row cannot be used
    ///
    /// Nothing is changed, and no password is shown.
    ///
    /// Exit codes: 0 every row that was read can be used, 1 some cannot.
    Try(try_rows::TryRows),
}

impl Verb {
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Verb::Show { json } => show::run(context, json),
            Verb::Try(try_rows) => try_rows.run(context),
        }
    }
}
