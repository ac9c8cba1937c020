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

use crate::context::Context;
use crate::failure::{Exit, Failure};
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
        let context = || Context::load(config);
        match self {
            Verb::Show(show) => show.run(&context()?),
            Verb::Recount(recount) => recount.run(context),
            Verb::Check(check) => check.run(context),
            Verb::Report(report) => report.run(context()?),
            Verb::MayStore(may_store) => may_store.run(context),
        }
    }
}
