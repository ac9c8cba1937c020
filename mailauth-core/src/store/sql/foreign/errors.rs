//! What to do about a statement that the database refuses: the tables of another program may be of another version, or
//! described wrongly.

use crate::schema::ForeignModel;
use crate::schema::references::{NamedTable, References, bare};
use crate::store::driver::{DriverError, Refusal};

/// Adds to a refusal which statement it is about and what to do. `section` is that of the configuration, such as
/// `schema.accounts`.
pub(in crate::store) fn explained(error: DriverError, model: &ForeignModel, section: &str, place: &str) -> DriverError {
    let DriverError::Refused { kind, reason } = error else { return error };
    let ForeignModel { profile, .. } = model;
    match kind {
        Refusal::NoTable | Refusal::NoColumn => {
            let lacking = format!("the database at {place} lacks what [schema] profile = {profile:?} reads: {reason}");
            let advice = match version_with(&reason, kind, model) {
                Some(version) => format!("{version} has it; update it, or set the fields that need it in [{section}]"),
                None => format!("correct [database] url, [schema] profile, or [{section}]"),
            };
            DriverError::Schema(format!("{lacking}; {advice}"))
        }
        Refusal::Forbidden => {
            let advice = match reason.starts_with("UPDATE") {
                true => "grant this user UPDATE of the column in [schema.accounts] write_password".to_owned(),
                false => format!("grant this user SELECT on the tables of profile {profile:?}"),
            };
            DriverError::Refused {
                kind,
                reason: format!("{reason}; {advice}; 'mailauth schema show' prints the statements"),
            }
        }
        // A conflict, or a statement that has to be prepared again, is over at the next attempt.
        Refusal::Conflict | Refusal::Stale => DriverError::Refused { kind, reason },
        _ => {
            let reason = format!("{reason}, in the statement of [{section}] with profile {profile:?}");
            DriverError::Refused { kind, reason }
        }
    }
}

/// Returns the version of the program that has the table or column that the database does not find.
fn version_with<'m>(reason: &str, kind: Refusal, model: &'m ForeignModel) -> Option<&'m str> {
    let named = names_in(reason);
    // A table that is missing as a whole has an entry without a column.
    let known = |is_it: &dyn Fn(&str, &str) -> bool| {
        let found = model.versions.iter().find(|(of, _)| {
            let (table, column) = of.split_once('.').unwrap_or((of, ""));
            is_it(table, column)
        });
        found.map(|(_, version)| version.as_str())
    };
    match kind {
        // The name may have a prefix.
        Refusal::NoTable => {
            known(&|table, column| column.is_empty() && named.iter().any(|(_, name)| name.ends_with(table)))
        }
        _ => {
            let tables = References::of(&format!("SELECT 1 FROM {}", model.accounts.from)).tables;
            // The name may have a prefix.
            let is_called = |named: &NamedTable, table: &str, alias: &str| {
                bare(&named.alias) == alias && named.bare_name().ends_with(table)
            };
            let of_alias =
                |table: &str, alias: &str| alias == table || tables.iter().any(|named| is_called(named, table, alias));
            known(&|table, column| named.iter().any(|(alias, name)| name == column && of_alias(table, alias)))
                .or_else(|| known(&|_, column| named.iter().any(|(_, name)| name == column)))
        }
    }
}

/// Returns the names in a message, as pairs of what is before the last dot and what follows it.
fn names_in(reason: &str) -> Vec<(String, String)> {
    let is_in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let words = reason.split(|c: char| !is_in_name(c)).filter(|word| !word.is_empty());
    words.map(|word| word.rsplit_once('.').unwrap_or(("", word))).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::model;
    use super::*;

    fn said(kind: Refusal, reason: &str) -> String {
        let mut model = model();
        model.accounts.from = "k_person p JOIN k_domain AS d ON d.id = p.domain".into();
        model.versions = vec![
            ("domain.expiry".into(), "Kontor 3".into()),
            ("person.expiry".into(), "Kontor 4".into()),
            ("person.smtp".into(), "Kontor 5".into()),
            ("nickname".into(), "Kontor 6".into()),
        ];
        let error = DriverError::Refused { kind, reason: reason.into() };
        explained(error, &model, "schema.accounts", "here").to_string()
    }

    #[test]
    fn a_missing_column_is_named_with_the_version_that_has_it() {
        for (reason, version) in [
            ("Unknown column 'p.expiry' in 'field list' (1054)", "Kontor 4"),
            ("Unknown column 'd.expiry' in 'field list' (1054)", "Kontor 3"),
            ("column p.smtp does not exist (42703)", "Kontor 5"),
            ("no such column: smtp", "Kontor 5"),
        ] {
            let said = said(Refusal::NoColumn, reason);
            assert!(said.contains(reason) && said.contains("profile = \"kontor\""), "{said}");
            assert!(said.contains(&format!("; {version} has it")), "{said}");
        }
        assert!(said(Refusal::NoColumn, "no such column: p.colour").ends_with("or [schema.accounts]"));
    }

    #[test]
    fn a_missing_table_is_named_with_the_version_that_has_it() {
        for reason in ["Table 'mail.nickname' doesn't exist (1146)", "relation \"nickname\" does not exist (42P01)"] {
            assert!(said(Refusal::NoTable, reason).contains("; Kontor 6 has it"));
        }
        let other = said(Refusal::NoTable, "no such table: k_person");
        assert!(other.contains("correct [database] url"), "{other}");
    }

    #[test]
    fn a_missing_right_is_that_to_read_or_to_change_the_password() {
        let read = said(Refusal::Forbidden, "SELECT command denied to user 'm'@'%' for table `person` (1142)");
        assert!(read.contains("; grant this user SELECT on the tables of profile \"kontor\"; "), "{read}");
        let write = said(Refusal::Forbidden, "UPDATE: permission denied for table person (42501)");
        assert!(
            write.contains("; grant this user UPDATE of the column in [schema.accounts] write_password; "),
            "{write}"
        );
    }

    #[test]
    fn any_other_refusal_names_the_section() {
        let said = said(Refusal::Other, "operator does not exist: integer ~ text (42883)");
        assert!(said.ends_with(", in the statement of [schema.accounts] with profile \"kontor\""), "{said}");
    }
}
