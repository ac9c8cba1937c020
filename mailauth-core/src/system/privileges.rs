//! Becomes another user, permanently or for one task.

use std::io;

/// Reason why the process did not become another user. Nothing may be run then.
#[derive(Debug, thiserror::Error)]
pub enum StillPrivileged {
    /// This process is another user and not root.
    #[error("cannot become user {uid} and group {gid}: this program runs as user {own}, not as root")]
    NotRoot {
        /// Required user.
        uid: u32,
        /// Required group.
        gid: u32,
        /// User of this process.
        own: u32,
    },
    /// A system call failed.
    #[error("cannot {0}: {1}")]
    Refused(&'static str, #[source] io::Error),
    /// The system calls succeeded, but the ids are not the required ones.
    #[error("root's rights are not gone after {0}; nothing else is run")]
    Regained(&'static str),
}

/// Becomes the owner of a mailbox, with the owner's group and no other one.
///
/// # Errors
/// As [`become_user`].
pub fn become_owner(uid: u32, gid: u32) -> Result<(), StillPrivileged> {
    become_user(uid, gid, &[gid])
}

/// Becomes a user permanently, with this group and these supplementary groups, in all forms of the ids, and checks the
/// result. It changes all threads of the process.
///
/// A process that is not root keeps its supplementary groups, and must have this user and group already.
///
/// # Errors
/// Fails if any part did not succeed; the parts that did cannot be undone.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Result<(), StillPrivileged> {
    // SAFETY: these calls only return numbers.
    let (own, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    if own != 0 && (own != uid || group != gid) {
        return Err(StillPrivileged::NotRoot { uid, gid, own });
    }
    if own == 0 {
        // SAFETY: the list lives until the call returns, and its length is passed.
        done("set the groups", unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
        if sorted(current_groups()?) != sorted(groups.to_vec()) {
            return Err(StillPrivileged::Regained("setgroups(2)"));
        }
    }
    // SAFETY: the arguments are numbers.
    done("set the group", unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: the arguments are numbers.
    done("set the user", unsafe { libc::setresuid(uid, uid, uid) })?;
    verify(uid, gid)
}

/// Returns true if this process is the user `uid` in all forms of the ids.
pub fn is_user(uid: u32) -> bool {
    user_ids().is_ok_and(|ids| ids == [uid; 3])
}

/// Runs `work` with the rights to files of user `uid` with the group `gid` only. The process must be root.
///
/// It runs on a thread of its own, whose rights are given up permanently; all other threads keep theirs.
///
/// # Errors
/// Fails as `work` does, and if no thread can be started or root's rights cannot be given up.
pub fn acting_as<T: Send>(uid: u32, gid: u32, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || {
            give_up_for_files(uid, gid)?;
            work()
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that acts as the owner has failed")))
    })
}

/// Runs `work` on a thread whose effective user is `uid`, which is the user that servers of unix sockets see. The process
/// must be root, and the work short: that user can send signals to this process meanwhile.
///
/// # Errors
/// Fails if no thread can be started, or the user cannot be set.
pub fn with_effective_user<T: Send>(uid: u32, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || {
            // SAFETY: the arguments are numbers. The system call changes the calling thread only, while the library's
            // function changes all threads; the thread ends with `work`.
            if unsafe { libc::syscall(libc::SYS_setresuid, -1, uid, -1) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(work())
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that acts as another user has failed")))
    })
}

/// Gives up this thread's rights to files. Only the ids for files change: with the other ids, that user could send
/// signals to this process.
fn give_up_for_files(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: the list is empty, and nothing is read from it. The system call itself changes the calling thread only,
    // while the library's function changes all threads.
    if unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the arguments are numbers, and both calls change the calling thread only. The second also drops root's
    // capabilities for files. An invalid id changes nothing and returns the id in force.
    let now = unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
        [libc::setfsgid(u32::MAX), libc::setfsuid(u32::MAX)]
    };
    if now.map(i32::cast_unsigned) == [gid, uid] {
        Ok(())
    } else {
        Err(io::Error::other("root's rights to files are not gone after setfsuid(2)"))
    }
}

fn done(what: &'static str, result: libc::c_int) -> Result<(), StillPrivileged> {
    if result == 0 { Ok(()) } else { Err(StillPrivileged::Refused(what, io::Error::last_os_error())) }
}

fn verify(uid: u32, gid: u32) -> Result<(), StillPrivileged> {
    if user_ids()? != [uid; 3] {
        return Err(StillPrivileged::Regained("setresuid(2)"));
    }
    if group_ids()? != [gid; 3] {
        return Err(StillPrivileged::Regained("setresgid(2)"));
    }
    // SAFETY: the arguments are numbers. The call must fail; a capability that was kept would let it succeed.
    if uid != 0 && unsafe { libc::setresuid(u32::MAX, 0, u32::MAX) } == 0 {
        return Err(StillPrivileged::Regained("setresuid(2): the process can become user 0 again"));
    }
    Ok(())
}

/// Returns the real, the effective and the saved user.
fn user_ids() -> Result<[u32; 3], StillPrivileged> {
    let [mut real, mut effective, mut saved] = [u32::MAX; 3];
    // SAFETY: three pointers to numbers on the stack.
    done("read the user", unsafe { libc::getresuid(&raw mut real, &raw mut effective, &raw mut saved) })?;
    Ok([real, effective, saved])
}

/// Returns the real, the effective and the saved group.
fn group_ids() -> Result<[u32; 3], StillPrivileged> {
    let [mut real, mut effective, mut saved] = [u32::MAX; 3];
    // SAFETY: three pointers to numbers on the stack.
    done("read the group", unsafe { libc::getresgid(&raw mut real, &raw mut effective, &raw mut saved) })?;
    Ok([real, effective, saved])
}

/// Returns the supplementary groups.
fn current_groups() -> Result<Vec<u32>, StillPrivileged> {
    let groups =
        rustix::process::getgroups().map_err(|errno| StillPrivileged::Refused("read the groups", errno.into()))?;
    Ok(groups.into_iter().map(rustix::process::Gid::as_raw).collect())
}

fn sorted(mut groups: Vec<u32>) -> Vec<u32> {
    groups.sort_unstable();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_is_not_root_cannot_become_another() {
        // SAFETY: the call only returns a number.
        let own = unsafe { libc::geteuid() };
        assert!(is_user(own) && !is_user(own + 1));
        if own != 0 {
            let error = become_owner(own + 1, own + 1).unwrap_err();
            assert!(matches!(error, StillPrivileged::NotRoot { .. }), "{error}");
        }
    }
}
