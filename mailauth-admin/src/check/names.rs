//! What `mailauth check` says of the names of domains that are not in the spelling that is looked up.

use crate::listing::each_domain;
use mailauth_core::DomainName;
use mailauth_core::store::SqlStore;

/// Returns what is wrong with the names of domains, with a correction. Errors of reading are reported by other checks.
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
        "the domain {stored}{many} is looked up as {name}, so no login and no mail finds what is in it; run 'mailauth init', \
         which corrects that, or says what is there under both names"
    ))
}
