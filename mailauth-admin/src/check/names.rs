//! What `mailauth check` reports about names of domains that are not in the spelling that is looked up.

use crate::listing::each_domain;
use mailauth_core::DomainName;
use mailauth_core::store::SqlStore;

/// Returns a finding about names of domains, with a correction. Errors of reading are reported by other checks.
pub(super) fn look(store: &SqlStore) -> Option<String> {
    let (mut count, mut first) = (0, None);
    let looked = each_domain(store, |row| {
        match DomainName::parse(&row.name) {
            Ok(name) if name.as_str() != row.name => {
                count += 1;
                first.get_or_insert((row.name, name));
            }
            _ => {}
        }
        Ok(())
    });
    let (stored, name) = looked.ok().and(first)?;
    let many = if count > 1 { format!(", one of {count},") } else { String::new() };
    Some(format!(
        "the domain {stored}{many} is looked up as {name}, so logins and mail do not find its accounts; run 'mailauth init', \
         which corrects this, or reports names that exist in both spellings"
    ))
}
