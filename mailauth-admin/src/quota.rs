//! `mailauth quota`.

mod check;
pub mod figures;
mod may_store;
mod recount;
mod report;
mod show;
mod sorted;
mod target;
mod work;

pub use target::{ByPath, Mailbox, follow};

use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use clap::Subcommand;
use std::path::Path;

#[derive(Subcommand)]
pub enum Verb {
    Show(show::Show),
    Recount(recount::Recount),
    Check(check::Check),
    Report(report::Report),
    MayStore(may_store::MayStore),
}

impl Verb {
    /// Runs the command. The configuration is read only if it is needed: a mailbox given by its path needs none.
    pub fn run(self, config: Option<&Path>) -> Result<Exit, Failure> {
        let setup = || Setup::load(config);
        match self {
            Verb::Show(show) => show.run(&setup()?),
            Verb::Recount(recount) => recount.run(setup),
            Verb::Check(check) => check.run(setup),
            Verb::Report(report) => report.run(setup()?),
            Verb::MayStore(may_store) => may_store.run(setup),
        }
    }
}
