//! Users and groups of the system: their numbers, and becoming another.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// The most bytes that one entry of the user or group database may have.
const MAX_ENTRY: usize = 1 << 20;

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

/// An entry of the user database.
struct User {
    uid: u32,
    gid: u32,
    name: CString,
}

/// The number of the user that configuration key `key` names, by name or number.
///
/// # Errors
/// When there is no such name.
pub(super) fn user_id(key: &'static str, name: &str) -> Result<u32, IdentityError> {
    match name.parse() {
        Ok(number) => Ok(number),
        Err(_) => find_user(key, name).map(|user| user.uid),
    }
}

/// The number of the group that configuration key `key` names, by name or number.
///
/// # Errors
/// When there is no such name.
pub(super) fn group_id(key: &'static str, name: &str) -> Result<u32, IdentityError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let unknown = || IdentityError::Unknown { kind: "group", name: name.into(), key };
    let c_name = CString::new(name).map_err(|_| unknown())?;
    let gid = entry(|buffer| {
        let mut group = MaybeUninit::<libc::group>::uninit();
        let mut found = null_mut();
        // SAFETY: the name is NUL-terminated, the pointers are to live locals and `buffer` has the length given.
        let error = unsafe {
            libc::getgrnam_r(c_name.as_ptr(), group.as_mut_ptr(), buffer.as_mut_ptr().cast(), buffer.len(), &mut found)
        };
        // SAFETY: a non-null `found` points to `group`, which the call has filled.
        (error, (!found.is_null()).then(|| unsafe { (*found).gr_gid }))
    });
    gid.map_err(|error| IdentityError::Lookup { kind: "group", name: name.into(), key, error })?.ok_or_else(unknown)
}

fn find_user(key: &'static str, name: &str) -> Result<User, IdentityError> {
    let unknown = || IdentityError::Unknown { kind: "user", name: name.into(), key };
    let number = name.parse::<u32>().ok();
    let c_name = CString::new(name).map_err(|_| unknown())?;
    let user = entry(|buffer| {
        let mut user = MaybeUninit::<libc::passwd>::uninit();
        let mut found = null_mut();
        let (out, text) = (user.as_mut_ptr(), buffer.as_mut_ptr().cast());
        // SAFETY: the name is NUL-terminated, the pointers are to live locals and `buffer` has the length given.
        let error = unsafe {
            match number {
                Some(uid) => libc::getpwuid_r(uid, out, text, buffer.len(), &mut found),
                None => libc::getpwnam_r(c_name.as_ptr(), out, text, buffer.len(), &mut found),
            }
        };
        let user = (!found.is_null()).then(|| {
            // SAFETY: a non-null `found` points to `user`, which the call has filled; its name is in `buffer`.
            let (user, name) = unsafe { (&*found, CStr::from_ptr((*found).pw_name)) };
            User { uid: user.pw_uid, gid: user.pw_gid, name: name.to_owned() }
        });
        (error, user)
    });
    user.map_err(|error| IdentityError::Lookup { kind: "user", name: name.into(), key, error })?.ok_or_else(unknown)
}

/// Calls `ask` with a buffer that grows until the entry fits.
fn entry<T>(mut ask: impl FnMut(&mut [u8]) -> (i32, Option<T>)) -> io::Result<Option<T>> {
    let mut buffer = vec![0; 1024];
    loop {
        match ask(&mut buffer) {
            (libc::ERANGE, _) if buffer.len() < MAX_ENTRY => buffer.resize(buffer.len() * 4, 0),
            (libc::EINTR, _) => {}
            // getpwnam(3): these too mean that the name was not found.
            (0 | libc::ENOENT | libc::ESRCH, found) => return Ok(found),
            (error, _) => return Err(io::Error::from_raw_os_error(error)),
        }
    }
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
