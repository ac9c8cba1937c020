//! Users and groups of the system, by name or number, and becoming another user.

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
    /// The process cannot become the user.
    #[error("cannot become the user {name:?} of [courier] user: {error}; start as root, or remove the key")]
    Become {
        /// Name of the user.
        name: String,
        /// Error of the system.
        error: io::Error,
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

/// Becomes the user `name`, with the user's groups, for good. Call it before there are threads.
///
/// # Errors
/// Fails if it does not work; some of it may be done then, so the program must end.
pub fn become_user(name: &str) -> Result<(), IdentityError> {
    let user = find_user("[courier] user", name)?;
    let failed = |error| IdentityError::Become { name: name.into(), error };
    let done = |status: i32| if status == 0 { Ok(()) } else { Err(failed(io::Error::last_os_error())) };
    // SAFETY: the calls take numbers and a NUL-terminated name, and change no memory of this program.
    unsafe {
        if libc::geteuid() == user.uid && libc::getuid() == user.uid {
            return Ok(());
        }
        done(libc::initgroups(user.name.as_ptr(), user.gid))?;
        done(libc::setresgid(user.gid, user.gid, user.gid))?;
        done(libc::setresuid(user.uid, user.uid, user.uid))?;
        if user.uid != 0 && libc::setuid(0) == 0 {
            return Err(failed(io::Error::other("root's rights can be regained")));
        }
    }
    Ok(())
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
    fn the_error_for_an_unknown_name_names_the_key() {
        let text = user_id("[courier] allow_users", "no-such-user").unwrap_err().to_string();
        assert!(text.contains("no-such-user") && text.contains("[courier] allow_users"), "{text}");
        assert!(group_id("k", "nul\0nul").is_err());
        assert!(user_id("k", "-1").is_err());
    }
}
