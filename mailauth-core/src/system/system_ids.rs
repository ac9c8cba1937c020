//! Numbers of this system's users and groups, by name.
//!
//! The system is asked, so that users of a directory service are found too. A static program cannot load the modules
//! that the system uses for that: it reads only `/etc/passwd` and `/etc/group`.

use std::ffi::CString;
use std::io;

/// A user of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Number of the user.
    pub uid: u32,
    /// Number of the user's primary group.
    pub gid: u32,
    /// Name of the user.
    pub name: CString,
}

/// Returns the user with this name, if there is one.
///
/// # Errors
/// Fails if the system cannot tell.
pub fn user(name: &str) -> io::Result<Option<User>> {
    match CString::new(name) {
        Ok(name) => database::user(&name),
        Err(_) => Ok(None),
    }
}

/// Returns the user with this number, if there is one.
///
/// # Errors
/// Fails if the system cannot tell.
pub fn user_with_id(uid: u32) -> io::Result<Option<User>> {
    database::user_with_id(uid)
}

/// Returns the number of a user given by name or number; `None` if the system does not know the name, or cannot tell.
pub fn of_user(user: &str) -> Option<u32> {
    user.parse().ok().or_else(|| self::user(user).ok().flatten().map(|user| user.uid))
}

/// Returns the number of a user given by name or number, from `/etc/passwd` alone, which is quick to read: a directory
/// service is not waited for.
pub fn of_listed_user(user: &str) -> Option<u32> {
    let listed = || files::user(&CString::new(user).ok()?).ok().flatten();
    user.parse().ok().or_else(|| listed().map(|user| user.uid))
}

/// Returns the number of the group with this name, if there is one.
///
/// # Errors
/// Fails if the system cannot tell.
pub fn group(name: &str) -> io::Result<Option<u32>> {
    match CString::new(name) {
        Ok(name) => database::group(&name),
        Err(_) => Ok(None),
    }
}

#[cfg(not(target_feature = "crt-static"))]
mod database {
    use super::User;
    use std::ffi::CStr;
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;

    /// Maximum number of bytes of one entry.
    const MAX_ENTRY: usize = 1 << 20;

    pub(super) fn user(name: &CStr) -> io::Result<Option<User>> {
        user_by(|out, text, length, found| {
            // SAFETY: the name is NUL-terminated, and `user_by` passes pointers to live memory and its length.
            unsafe { libc::getpwnam_r(name.as_ptr(), out, text, length, found) }
        })
    }

    pub(super) fn user_with_id(uid: u32) -> io::Result<Option<User>> {
        user_by(|out, text, length, found| {
            // SAFETY: `user_by` passes pointers to live memory and its length.
            unsafe { libc::getpwuid_r(uid, out, text, length, found) }
        })
    }

    fn user_by(
        ask: impl Fn(*mut libc::passwd, *mut libc::c_char, usize, *mut *mut libc::passwd) -> i32,
    ) -> io::Result<Option<User>> {
        entry(|buffer| {
            let mut user = MaybeUninit::<libc::passwd>::uninit();
            let mut found = null_mut();
            let error = ask(user.as_mut_ptr(), buffer.as_mut_ptr().cast(), buffer.len(), &raw mut found);
            let user = (!found.is_null()).then(|| {
                // SAFETY: a non-null `found` points to `user`, which the call has filled; its name is in `buffer`.
                let (user, name) = unsafe { (&*found, CStr::from_ptr((*found).pw_name)) };
                User { uid: user.pw_uid, gid: user.pw_gid, name: name.to_owned() }
            });
            (error, user)
        })
    }

    pub(super) fn group(name: &CStr) -> io::Result<Option<u32>> {
        entry(|buffer| {
            let mut group = MaybeUninit::<libc::group>::uninit();
            let mut found = null_mut();
            // SAFETY: the name is NUL-terminated, the pointers are to live locals and `buffer` has the length given.
            let error = unsafe {
                let text = buffer.as_mut_ptr().cast();
                libc::getgrnam_r(name.as_ptr(), group.as_mut_ptr(), text, buffer.len(), &raw mut found)
            };
            // SAFETY: a non-null `found` points to `group`, which the call has filled.
            (error, (!found.is_null()).then(|| unsafe { (*found).gr_gid }))
        })
    }

    /// Calls `ask` with a buffer that grows until the entry fits.
    fn entry<T>(mut ask: impl FnMut(&mut [u8]) -> (i32, Option<T>)) -> io::Result<Option<T>> {
        let mut buffer = vec![0; 1024];
        loop {
            match ask(&mut buffer) {
                (libc::ERANGE, _) if buffer.len() < MAX_ENTRY => buffer.resize(buffer.len() * 4, 0),
                (libc::EINTR, _) => {}
                // getpwnam(3): these errors also mean that the name was not found.
                (0 | libc::ENOENT | libc::ESRCH, found) => return Ok(found),
                (error, _) => return Err(io::Error::from_raw_os_error(error)),
            }
        }
    }
}

#[cfg_attr(not(target_feature = "crt-static"), allow(dead_code, reason = "tested in every build"))]
mod files {
    use super::User;
    use std::ffi::{CStr, CString};
    use std::fs::File;
    use std::io::{self, BufRead, BufReader, Read};

    /// Maximum number of bytes of a file that are read.
    const MAX_FILE: u64 = 16 << 20;

    pub(super) fn user(name: &CStr) -> io::Result<Option<User>> {
        find("/etc/passwd", |fields| read_user(fields).filter(|user| *user.name == *name))
    }

    pub(super) fn user_with_id(uid: u32) -> io::Result<Option<User>> {
        find("/etc/passwd", |fields| read_user(fields).filter(|user| user.uid == uid))
    }

    pub(super) fn group(name: &CStr) -> io::Result<Option<u32>> {
        find("/etc/group", |fields| match fields {
            [known, _, gid, ..] if *known == name.to_bytes() => number(gid),
            _ => None,
        })
    }

    fn read_user(fields: &[&[u8]]) -> Option<User> {
        let [name, _, uid, gid, ..] = fields else { return None };
        Some(User { uid: number(uid)?, gid: number(gid)?, name: CString::new(*name).ok()? })
    }

    fn number(digits: &[u8]) -> Option<u32> {
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn find<T>(path: &str, mut read: impl FnMut(&[&[u8]]) -> Option<T>) -> io::Result<Option<T>> {
        for line in BufReader::new(File::open(path)?.take(MAX_FILE)).split(b'\n') {
            let line = line?;
            if let Some(found) = read(&line.split(|byte| *byte == b':').collect::<Vec<_>>()) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

#[cfg(target_feature = "crt-static")]
use files as database;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_numbers_and_unknown_ones_have_none() {
        let root = user("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid, root.name.as_c_str()), (0, 0, c"root"));
        assert_eq!(user_with_id(0).unwrap(), Some(root));
        assert_eq!(group("root").unwrap(), Some(0));
        for name in ["no-such-user", "", "nul\0nul", "root:x"] {
            assert_eq!((user(name).unwrap(), group(name).unwrap()), (None, None), "{name:?}");
        }
    }

    #[test]
    fn a_static_program_finds_the_same_in_the_files() {
        for name in [c"root", c"daemon", c"no-such-user"] {
            assert_eq!(files::user(name).unwrap(), user(name.to_str().unwrap()).unwrap());
            assert_eq!(files::group(name).unwrap(), group(name.to_str().unwrap()).unwrap());
        }
        assert_eq!(files::user_with_id(1).unwrap(), user_with_id(1).unwrap());
        let listed = ["daemon", "4711", "no-such-user", "nul\0nul"].map(of_listed_user);
        assert_eq!(listed, [of_user("daemon"), Some(4711), None, None]);
    }
}
