//! Domains, aliases and alias domains of another program, as far as they can be listed.

use crate::failure::Failure;
use crate::output::{Table, say, yes_no};
use mailauth_core::store::{Administration, SqlStore, StoreError};
use serde::Serialize;
use std::ops::ControlFlow;

/// Some domains, aliases and alias domains. A list that cannot be read is `None`.
#[derive(Serialize)]
pub struct Listed {
    domains: Option<Vec<Domain>>,
    aliases: Option<Vec<Alias>>,
    alias_domains: Option<Vec<AliasDomain>>,
    /// Why rows, or whole lists, cannot be used.
    pub problems: Vec<String>,
}

#[derive(Serialize)]
struct Domain {
    name: String,
    enabled: bool,
}

#[derive(Serialize)]
struct Alias {
    address: String,
    targets: Vec<String>,
}

#[derive(Serialize)]
struct AliasDomain {
    name: String,
    target: String,
}

impl Listed {
    /// Reads at most `limit` rows of each list.
    pub fn read(store: &SqlStore, limit: usize) -> Result<Self, Failure> {
        let mut problems = Vec::new();
        let domains = kept(store.domain_page(None, limit), &mut problems)?.map(|page| {
            let rows = usable(page.rows, &mut problems);
            rows.into_iter().map(|row| Domain { name: row.name, enabled: row.enabled }).collect()
        });
        let alias_domains = kept(store.alias_domain_page(None, limit), &mut problems)?.map(|page| {
            let rows = usable(page.rows, &mut problems);
            rows.into_iter().map(|row| AliasDomain { name: row.name, target: row.target }).collect()
        });
        let mut aliases = Vec::new();
        let mut read = 0;
        let listed = store.each_alias(None, &mut |alias| {
            read += 1;
            match alias {
                Ok(row) => aliases.push(Alias { address: row.address, targets: row.targets }),
                Err(problem) => problems.push(problem.to_string()),
            }
            if read < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let aliases = kept(listed, &mut problems)?.map(|()| aliases);
        Ok(Listed { domains, aliases, alias_domains, problems })
    }

    /// Prints the lists that are not empty, and the problems.
    pub fn print(&self) -> Result<(), Failure> {
        if let Some(domains) = self.domains.as_deref().filter(|domains| !domains.is_empty()) {
            let mut table = Table::new(["DOMAIN", "ENABLED"]);
            domains.iter().for_each(|domain| table.row([&domain.name, yes_no(domain.enabled)]));
            say(format_args!("\n{table}"))?;
        }
        if let Some(domains) = self.alias_domains.as_deref().filter(|domains| !domains.is_empty()) {
            let mut table = Table::new(["ALIAS DOMAIN", "TARGET"]);
            domains.iter().for_each(|domain| table.row([&domain.name, &domain.target]));
            say(format_args!("\n{table}"))?;
        }
        if let Some(aliases) = self.aliases.as_deref().filter(|aliases| !aliases.is_empty()) {
            let mut table = Table::new(["ALIAS", "TARGETS"]);
            aliases.iter().for_each(|alias| table.row([&alias.address, &alias.targets.join(", ")]));
            say(format_args!("\n{table}"))?;
        }
        self.problems.iter().enumerate().try_for_each(|(index, problem)| {
            let before = if index == 0 { "\n" } else { "" };
            say(format_args!("{before}{problem}"))
        })
    }
}

/// Returns a list, or adds the reason why it cannot be read. Fails if the database cannot be asked.
fn kept<T>(listed: Result<T, StoreError>, problems: &mut Vec<String>) -> Result<Option<T>, Failure> {
    match listed {
        Ok(list) => Ok(Some(list)),
        Err(error) if error.is_outage() => Err(error.into()),
        Err(error) => {
            problems.push(error.to_string());
            Ok(None)
        }
    }
}

fn usable<T>(rows: Vec<Result<T, StoreError>>, problems: &mut Vec<String>) -> Vec<T> {
    let mut usable = Vec::with_capacity(rows.len());
    for row in rows {
        match row {
            Ok(row) => usable.push(row),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    usable
}
