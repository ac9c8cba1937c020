//! Users and groups of the system, by name or number, and becoming another user.

use mailauth_core::privileges::{self, StillPrivileged};
use mailauth_core::system_ids::{self, User};
use std::io;

/// Reason why a user or group of the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The user or group does not exist.
    #[error("there is no {kind} {name:?} on this system; {key} needs a name or a number that exists")]
    Unknown {
        /// `user` or `group`.
        kind: &'static str,
        /// Name in the configuration.
        name: String,
        /// Key of the configuration.
        key: &'static str,
    },
    /// The look-up failed.
    #[error("cannot look up the {kind} {name:?} of {key}: {error}")]
    Lookup {
        /// `user` or `group`.
        kind: &'static str,
        /// Name in the configuration.
        name: String,
        /// Key of the configuration.
        key: &'static str,
        /// Error of the system.
        error: io::Error,
    },
    /// The groups of the user cannot be looked up.
    #[error("cannot look up the groups of [courier] user {name:?}: {error}")]
    Groups {
        /// Name of the user.
        name: String,
        /// Error of the system.
        error: io::Error,
    },
    /// The process cannot become the user.
    #[error("[courier] user {name:?}: {error}; start as root, or remove the key")]
    Become {
        /// Name of the user.
        name: String,
        /// What failed.
        error: StillPrivileged,
    },
}

/// Returns the ID of the user that the configuration key `key` names, by name or number.
///
/// # Errors
/// Fails if the user does not exist.
pub(crate) fn user_id(key: &'static str, name: &str) -> Result<u32, IdentityError> {
    match name.parse() {
        Ok(number) => Ok(number),
        Err(_) => find_user(key, name).map(|user| user.uid),
    }
}

/// Returns the ID of the group that the configuration key `key` names, by name or number.
///
/// # Errors
/// Fails if the group does not exist.
pub(crate) fn group_id(key: &'static str, name: &str) -> Result<u32, IdentityError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let unknown = || IdentityError::Unknown { kind: "group", name: name.into(), key };
    let failed = |error| IdentityError::Lookup { kind: "group", name: name.into(), key, error };
    system_ids::group(name).map_err(failed)?.ok_or_else(unknown)
}

fn find_user(key: &'static str, name: &str) -> Result<User, IdentityError> {
    let unknown = || IdentityError::Unknown { kind: "user", name: name.into(), key };
    let found = match name.parse::<u32>() {
        Ok(uid) => system_ids::user_with_id(uid),
        Err(_) => system_ids::user(name),
    };
    found.map_err(|error| IdentityError::Lookup { kind: "user", name: name.into(), key, error })?.ok_or_else(unknown)
}

/// Becomes the user `name` permanently, with the user's groups. Call it before there are other threads.
///
/// # Errors
/// Fails if it does not work; some of it may be done then, so the program must end.
pub fn become_user(name: &str) -> Result<(), IdentityError> {
    let user = find_user("[courier] user", name)?;
    if privileges::is_user(user.uid) {
        return Ok(());
    }
    let groups = groups_of(&user).map_err(|error| IdentityError::Groups { name: name.into(), error })?;
    privileges::become_user(user.uid, user.gid, &groups)
        .map_err(|error| IdentityError::Become { name: name.into(), error })
}

/// Maximum number of groups of a user, as in Linux.
const MAX_GROUPS: usize = 65_536;

/// Returns the groups of a user, as initgroups(3) sets them.
fn groups_of(user: &User) -> io::Result<Vec<u32>> {
    let mut groups = vec![0; 64];
    loop {
        let mut count = i32::try_from(groups.len()).unwrap_or(i32::MAX);
        // SAFETY: the name is NUL-terminated, and the list has room for `count` groups.
        let found = unsafe { libc::getgrouplist(user.name.as_ptr(), user.gid, groups.as_mut_ptr(), &raw mut count) };
        if found >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or_default());
            return Ok(groups);
        }
        if groups.len() >= MAX_GROUPS {
            return Err(io::Error::other("there are too many"));
        }
        groups.resize(groups.len() * 2, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_given_by_name_or_number() {
        assert_eq!(user_id("k", "root").unwrap(), 0);
        assert_eq!(group_id("k", "root").unwrap(), 0);
        assert_eq!(user_id("k", "4242").unwrap(), 4242);
        assert_eq!(group_id("k", "4243").unwrap(), 4243);
        assert_eq!(find_user("k", "0").unwrap().name.as_c_str(), c"root");
    }

    #[test]
    fn the_groups_of_a_user_contain_the_primary_group() {
        let root = find_user("k", "root").unwrap();
        assert!(groups_of(&root).unwrap().contains(&root.gid));
    }

    #[test]
    fn the_error_for_an_unknown_name_names_the_key() {
        let text = user_id("[courier] allow_users", "no-such-user").unwrap_err().to_string();
        assert!(text.contains("no-such-user") && text.contains("[courier] allow_users"), "{text}");
        assert!(group_id("k", "nul\0nul").is_err());
        assert!(user_id("k", "-1").is_err());
    }
}
