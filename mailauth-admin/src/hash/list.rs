//! `mailauth hash list`.

use crate::failure::{Exit, Failure};
use crate::output::{List, ListRow};
use clap::Args;
use mailauth_core::password::{SUMMARIES, SchemeSummary};
use std::borrow::Cow;

/// List the schemes of stored passwords that can be verified, the strongest first
///
/// A scheme is recommended if it is slow on every hardware, acceptable if it is slow on processors only, and weak if a reader of the
/// table can try millions of passwords a second. The strength is that of the usual cost; 'mailauth hash verify' says
/// that of one value. MAKES is the name for --scheme and [password] scheme, and CHALLENGES are the mechanisms that can be
/// verified without the password being sent.
#[derive(Args)]
pub struct Schemes {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Schemes {
    pub fn run(self) -> Result<Exit, Failure> {
        let titles = ["SCHEME", "STRENGTH", "MAKES", "CHALLENGES", "FORMS", "DESCRIPTION"];
        let mut list = List::new(titles, self.json);
        SUMMARIES.iter().try_for_each(|summary| list.add(&Row::of(summary)))?;
        list.end()?;
        Ok(Exit::Yes)
    }
}

#[derive(serde::Serialize)]
struct Row {
    scheme: &'static str,
    strength: &'static str,
    /// Name of the scheme for new hashes, if there are any.
    makes: Option<&'static str>,
    challenges: &'static [&'static str],
    forms: Vec<String>,
    description: &'static str,
}

impl Row {
    fn of(summary: &'static SchemeSummary) -> Self {
        let clear = (summary.name == "PLAIN").then_some("plain");
        Row {
            scheme: summary.name,
            strength: summary.strength.name(),
            makes: summary.new_scheme().map(|scheme| scheme.name()).or(clear),
            challenges: summary.challenges,
            forms: summary.forms(),
            description: summary.description,
        }
    }
}

impl ListRow<6> for Row {
    fn cells(&self) -> [Cow<'_, str>; 6] {
        let joined = |words: &[&str]| if words.is_empty() { "-".to_owned() } else { words.join(", ") };
        let forms: Vec<&str> = self.forms.iter().map(String::as_str).collect();
        [
            self.scheme.into(),
            self.strength.into(),
            self.makes.unwrap_or("-").into(),
            joined(self.challenges).into(),
            joined(&forms).into(),
            self.description.into(),
        ]
    }
}
