//! The differences, printed while they are found, and their numbers.

use super::described::{Described, shown};
use super::{Answers, Part};
use crate::failure::{Exit, Failure};
use crate::output::{List, ListRow, remark, say};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Maximum number of lines too long for a login that are named.
const MAX_LONG: u64 = 20;

/// A difference of the answers about a login.
#[derive(Serialize)]
struct Difference<'a> {
    login: &'a str,
    what: &'static str,
    old: &'a str,
    mailauth: &'a str,
}

impl ListRow<4> for Difference<'_> {
    fn cells(&self) -> [Cow<'_, str>; 4] {
        [self.login.into(), self.what.into(), or_dash(self.old).into(), or_dash(self.mailauth).into()]
    }
}

fn or_dash(value: &str) -> &str {
    if value.is_empty() { "-" } else { value }
}

/// The numbers of all logins.
#[derive(Default, Serialize)]
struct Summary {
    logins: u64,
    /// Logins about which both daemons say the same.
    same: u64,
    /// Those of them that are accounts.
    same_yes: u64,
    different: u64,
    /// Logins about which a daemon did not answer, and lines that are too long.
    unanswered: u64,
    /// Number of differences of each kind.
    by_kind: BTreeMap<&'static str, u64>,
}

/// The output of the command.
pub struct Report<'a> {
    out: Output,
    ignored: &'a [Part],
    summary: Summary,
    too_long: u64,
}

enum Output {
    Text(List<4>),
    /// An object with the array `differences`, and whether it has an element.
    Json(BufWriter<StdoutLock<'static>>, bool),
}

impl<'a> Report<'a> {
    pub fn new(as_json: bool, ignored: &'a [Part]) -> Self {
        let out = match as_json {
            true => Output::Json(BufWriter::new(io::stdout().lock()), false),
            false => Output::Text(List::new(["LOGIN", "WHAT", "OLD", "MAILAUTH"], false)),
        };
        Report { out, ignored, summary: Summary::default(), too_long: 0 }
    }

    /// Counts the answers about a login, and prints what differs.
    pub fn add(&mut self, answers: &Answers) -> Result<(), Failure> {
        let login = shown(&answers.login);
        self.summary.logins += 1;
        match (&answers.old, &answers.new) {
            (Described::NotNow(_), _) | (_, Described::NotNow(_)) => {
                self.summary.unanswered += 1;
                self.answers_differ(&login, answers)
            }
            (Described::No(_), Described::No(_)) => {
                self.summary.same += 1;
                Ok(())
            }
            (Described::Yes(old), Described::Yes(new)) => self.values_differ(&login, old, new),
            _ => {
                self.summary.different += 1;
                self.answers_differ(&login, answers)
            }
        }
    }

    fn answers_differ(&mut self, login: &str, answers: &Answers) -> Result<(), Failure> {
        let (old, mailauth) = (answers.old.word(), answers.new.word());
        self.print(Part::Answer, &Difference { login, what: Part::Answer.name(), old: &old, mailauth: &mailauth })
    }

    fn values_differ(&mut self, login: &str, old: &[(Part, String)], new: &[(Part, String)]) -> Result<(), Failure> {
        let mut differs = false;
        for ((part, old), (_, mailauth)) in old.iter().zip(new) {
            if old != mailauth && !self.ignored.contains(part) {
                differs = true;
                self.print(*part, &Difference { login, what: part.name(), old, mailauth })?;
            }
        }
        if differs {
            self.summary.different += 1;
        } else {
            self.summary.same += 1;
            self.summary.same_yes += 1;
        }
        Ok(())
    }

    fn print(&mut self, part: Part, difference: &Difference<'_>) -> Result<(), Failure> {
        *self.summary.by_kind.entry(part.name()).or_default() += 1;
        match &mut self.out {
            Output::Text(list) => list.add(difference),
            Output::Json(out, begun) => {
                let before = if std::mem::replace(begun, true) { ",\n  " } else { "{\"differences\": [\n  " };
                out.write_all(before.as_bytes())?;
                serde_json::to_writer(&mut *out, difference).map_err(io::Error::from)?;
                Ok(())
            }
        }
    }

    /// Counts a line that is too long for a login, and about which no daemon was asked.
    pub fn add_unusable_line(&mut self, number: u64) {
        self.summary.logins += 1;
        self.summary.unanswered += 1;
        self.too_long += 1;
        if self.too_long <= MAX_LONG {
            remark(format_args!("warning: line {number} is too long for a login; the daemons were not asked about it"));
        }
    }

    /// Prints the numbers. `gone` is the daemon that stopped answering before the end of the file, if one did.
    pub fn end(self, gone: Option<&'static str>) -> Result<Exit, Failure> {
        let Report { out, summary, .. } = self;
        let has_rows = !summary.by_kind.is_empty();
        match out {
            Output::Json(mut out, begun) => {
                out.write_all(if begun { b"\n],\n" } else { b"{\"differences\": [],\n" })?;
                writeln!(out, "\"complete\": {},", gone.is_none())?;
                out.write_all(b"\"summary\": ")?;
                serde_json::to_writer(&mut out, &summary).map_err(io::Error::from)?;
                out.write_all(b"}\n")?;
                out.flush()?;
            }
            Output::Text(list) => {
                if has_rows {
                    list.end()?;
                } else {
                    // Its lock on the standard output would stop the next lines.
                    drop(list);
                }
                say(summary.sentence())?;
            }
        }
        if let Some(daemon) = gone {
            return Err(Failure::not_now(format!(
                "{daemon} does not answer any more; the logins from number {} on were not compared",
                summary.logins + 1
            )));
        }
        Ok(match summary {
            Summary { unanswered: 1.., .. } => Exit::NotNow,
            Summary { different: 1.., .. } => Exit::No,
            _ => Exit::Yes,
        })
    }
}

impl Summary {
    fn sentence(&self) -> String {
        let Summary { logins, same, same_yes, different, unanswered, by_kind } = self;
        let no = same - same_yes;
        let mut text = format!(
            "{logins} logins: {same} the same ({same_yes} yes, {no} no), {different} different, {unanswered} without an \
             answer"
        );
        if !by_kind.is_empty() {
            let kinds: Vec<String> = by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            text += &format!("\ndifferences: {}", kinds.join(", "));
        }
        if by_kind.contains_key(Part::Answer.name()) {
            text += "\n'mailauth auth LOGIN' prints the reason of mailauth's answer";
        }
        text
    }
}
