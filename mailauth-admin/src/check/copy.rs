//! What `mailauth check` reports about the copy that answers in an outage.

use super::findings::State;
use mailauth_core::config::{Config, OutageConfig};
use mailauth_core::store::SnapshotState;
use mailauth_core::store::snapshot::{self, Kept};
use std::path::Path;
use std::time::Duration;

/// Time by which a refresh may be late, because reading all tables takes long or the daemon is restarted.
const LATE: Duration = Duration::from_secs(60);

const NOT_NOW: &str = "during an outage, questions about them get \"not now\"";

/// Finding about the copy, and the state of the copy if it would answer in an outage.
pub(super) struct CopyFinding {
    pub state: State,
    pub text: String,
    pub answers: Option<SnapshotState>,
}

/// Checks the copy, if one is kept.
pub(super) fn look(config: &Config) -> Option<CopyFinding> {
    let path = config.outage.snapshot_of(&config.database.url)?;
    let copy = snapshot::look(path, &config.database);
    let not_copied = config.database.tables.foreign().map(snapshot::not_copied).unwrap_or_default();
    let (state, text) = judge(path, &copy, &config.outage, &not_copied);
    let answering = copy.ok().flatten().filter(|kept| kept.is_readable && !not_copied.contains(&"accounts"));
    let answers = answering.map(|kept| kept.state).filter(|copy| copy.age <= config.outage.max_age);
    Some(CopyFinding { state, text, answers })
}

fn judge(
    path: &Path,
    copy: &Result<Option<Kept>, String>,
    outage: &OutageConfig,
    not_copied: &[&str],
) -> (State, String) {
    let shown = path.display();
    match copy {
        Ok(Some(kept)) => judge_kept(path, kept, outage, not_copied),
        Ok(None) => {
            let folder = path.parent().filter(|folder| folder.exists()).map(Path::display);
            let fix = match folder {
                Some(folder) => format!("start mailauth-courier; its user must own {folder}"),
                None => {
                    "create its folder, owned by the user of mailauth-courier, or set [outage] enabled = false".into()
                }
            };
            (
                State::Degraded,
                format!("there is no snapshot {shown} for logins during an outage of the database; {fix}"),
            )
        }
        Err(problem) => {
            let fix =
                "run this command as root; mailauth-courier replaces a damaged snapshot when the database answers";
            (State::Degraded, format!("{shown} cannot be used: {problem}; {fix}"))
        }
    }
}

fn judge_kept(path: &Path, kept: &Kept, outage: &OutageConfig, not_copied: &[&str]) -> (State, String) {
    let Kept { state: SnapshotState { accounts, bytes, age, failure, .. }, refreshed, of_other, is_readable, took } =
        kept;
    let mut size = format!("{}: {accounts} accounts, {bytes} bytes, {}", path.display(), old(*age));
    if let Some(took) = took {
        size += &format!(", read in {} s", took.as_secs());
    }
    if !is_readable {
        let other = of_other.as_deref().unwrap_or("other tables");
        let text = format!(
            "{size}: it is a copy of {other}, read by another [schema], and is not used; mailauth-courier replaces it when \
             it has read the tables of this one"
        );
        return (State::Degraded, text);
    }
    if *age > outage.max_age {
        let fix = "see the log of mailauth-courier for the reason";
        return (State::Degraded, format!("{size}: it is too old to answer logins; {fix}"));
    }
    if let Some(other) = of_other {
        let text = format!(
            "{size}: it is a copy of {other}, and answers until the database of [database] is copied completely"
        );
        return (State::Degraded, text);
    }
    if let Some((since, why)) = failure {
        return (State::Degraded, format!("{size}: refreshing it has failed for {} s: {why}", since.as_secs()));
    }
    // Another program's tables are read at most for a tenth of the time.
    let interval = outage.refresh.max(took.unwrap_or_default() * 11);
    if *refreshed > interval * 3 + LATE {
        let fix = "start mailauth-courier, or see its log";
        return (State::Degraded, format!("{size}: it was last refreshed {} s ago; {fix}", refreshed.as_secs()));
    }
    if !not_copied.is_empty() {
        let lacking = not_copied.join(", ");
        return (
            State::Degraded,
            format!(
                "{size}: it holds no {lacking}, because [schema] does not say how to list exactly those that are found; {NOT_NOW}"
            ),
        );
    }
    (State::Ok, size)
}

fn old(age: Duration) -> String {
    if age == Duration::MAX { "from the future".into() } else { format!("{} s old", age.as_secs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(age: u64) -> Kept {
        let age = if age == u64::MAX { Duration::MAX } else { Duration::from_secs(age) };
        let (path, failure) = ("/s".into(), None);
        let state = SnapshotState { path, accounts: 3, bytes: 4096, age, max_age: None, failure, in_use: false };
        Kept { state, refreshed: Duration::ZERO, of_other: None, is_readable: true, took: None }
    }

    #[test]
    fn a_snapshot_that_cannot_answer_or_is_not_refreshed_is_degraded() {
        let second = Duration::from_secs(1);
        let outage = OutageConfig { max_age: second * 60, refresh: second, ..OutageConfig::default() };
        let judged = |copy| judge(Path::new("/var/s"), &copy, &outage, &[]);
        assert_eq!(judged(Ok(Some(kept(60)))), (State::Ok, "/var/s: 3 accounts, 4096 bytes, 60 s old".into()));
        let mut failing = kept(10);
        failing.state.failure = Some((second * 7, "no room".into()));
        for (copy, said) in [
            (Ok(Some(kept(61))), "61 s old: it is too old to answer logins; see the log"),
            (Ok(Some(kept(u64::MAX))), "from the future: it is too old"),
            (Ok(Some(failing)), "10 s old: refreshing it has failed for 7 s: no room"),
            (Ok(Some(Kept { refreshed: second * 64, ..kept(10) })), "it was last refreshed 64 s ago; start"),
            (
                Ok(Some(Kept { of_other: Some("mysql mail at db2".into()), ..kept(10) })),
                "it is a copy of mysql mail at db2, and",
            ),
            (Ok(None), "start mailauth-courier; its user must own /var"),
            (Err("no".into()), "cannot be used: no; run this command as root"),
        ] {
            let (state, text) = judged(copy);
            assert!(state == State::Degraded && text.contains(said), "{text}");
        }
    }
}
