//! Users and groups of the system: their numbers, and becoming another.

use mailauth_core::system_ids::{self, User};
use std::io;

/// A name that is none of a user or group.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The system knows no such user or group.
    #[error("there is no {kind} {name:?} on this system; {key} needs a name or a number that exists")]
    Unknown {
        /// `user` or `group`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The configuration's key.
        key: &'static str,
    },
    /// The system could not say.
    #[error("cannot look up the {kind} {name:?} of {key}: {error}")]
    Lookup {
        /// `user` or `group`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The configuration's key.
        key: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Becoming another user did not work.
    #[error("cannot become the user {name:?} of [courier] user: {error}; start as root, or leave the key out")]
    Become {
        /// Whom.
        name: String,
        /// What the system said.
        error: io::Error,
    },
}

/// The number of the user that configuration key `key` names, by name or number.
///
/// # Errors
/// When there is no such name.
pub(crate) fn user_id(key: &'static str, name: &str) -> Result<u32, IdentityError> {
    match name.parse() {
        Ok(number) => Ok(number),
        Err(_) => find_user(key, name).map(|user| user.uid),
    }
}

/// The number of the group that configuration key `key` names, by name or number.
///
/// # Errors
/// When there is no such name.
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

/// Becomes the user `name`, with the user's groups, for good. Call it before there are threads.
///
/// # Errors
/// When it does not work; some of it may be done then, so the program must end.
pub fn become_user(name: &str) -> Result<(), IdentityError> {
    let user = find_user("[courier] user", name)?;
    let failed = |error| IdentityError::Become { name: name.into(), error };
    let done = |status: i32| if status == 0 { Ok(()) } else { Err(failed(io::Error::last_os_error())) };
    // SAFETY: the calls take numbers and a NUL-terminated name, and touch no memory of ours.
    unsafe {
        if libc::geteuid() == user.uid && libc::getuid() == user.uid {
            return Ok(());
        }
        done(libc::initgroups(user.name.as_ptr(), user.gid))?;
        done(libc::setresgid(user.gid, user.gid, user.gid))?;
        done(libc::setresuid(user.uid, user.uid, user.uid))?;
        if user.uid != 0 && libc::setuid(0) == 0 {
            return Err(failed(io::Error::other("root's rights could be had back")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_both_name_a_user() {
        assert_eq!(user_id("k", "root").unwrap(), 0);
        assert_eq!(group_id("k", "root").unwrap(), 0);
        assert_eq!(user_id("k", "4242").unwrap(), 4242);
        assert_eq!(group_id("k", "4243").unwrap(), 4243);
        assert_eq!(find_user("k", "0").unwrap().name.as_c_str(), c"root");
    }

    #[test]
    fn an_unknown_name_says_which_key_has_it() {
        let text = user_id("[courier] allow_users", "no-such-user").unwrap_err().to_string();
        assert!(text.contains("no-such-user") && text.contains("[courier] allow_users"), "{text}");
        assert!(group_id("k", "nul\0nul").is_err());
        assert!(user_id("k", "-1").is_err());
    }
}
