//! Problems of the rows of a file, with their lines.

use super::{CsvTable, summary};
use crate::failure::Failure;
use crate::output::printable;
use mailauth_core::store::ImportMode;

/// Maximum number of problems that are listed.
pub const MAX_PROBLEMS: usize = 1000;

/// A problem of a row.
pub enum Problem {
    Text(String),
    /// The key is already in the table.
    Exists(String),
    /// The key is already in an earlier row, on that line.
    Repeats(String, u64),
}

/// The first problems of a file, and the number of all.
#[derive(Default)]
pub struct Problems {
    listed: Vec<(u64, Problem)>,
    count: usize,
}

impl Problems {
    pub fn add(&mut self, line: u64, problem: Problem) {
        self.count += 1;
        if !self.are_full() {
            self.listed.push((line, problem));
        }
    }

    /// Returns the number of all problems.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns true if no more problems are listed.
    pub fn are_full(&self) -> bool {
        self.listed.len() >= MAX_PROBLEMS
    }

    pub fn into_failure<T: CsvTable>(mut self, shown: &str, rest: &str, mode: ImportMode) -> Failure {
        self.listed.sort_by_key(|(line, _)| *line);
        let one = T::NAMES.one;
        let told = |(line, problem): &(u64, Problem)| match problem {
            Problem::Text(what) => format!("{shown}:{line}: {}", printable(what)),
            Problem::Exists(key) => format!("{shown}:{line}: the {one} {key} exists already"),
            Problem::Repeats(key, first) => format!("{shown}:{line}: {key} is on line {first} already"),
        };
        let mut lines: Vec<_> = self.listed.iter().map(told).collect();
        if self.count > lines.len() {
            lines.push(format!("{shown}: and {} more", self.count - lines.len()));
        }
        let exist = self.listed.iter().any(|(_, problem)| matches!(problem, Problem::Exists(_)));
        let hint = if exist && !mode.update { "; --update changes rows that exist" } else { "" };
        lines.push(format!("{}; {} problems{rest}{hint}", summary::nothing(mode), self.count));
        Failure::no(lines.join("\n"))
    }
}
