//! Switches to the owner of a mailbox, for good or for one task.

use std::io;

/// Why the process did not become the mailbox's owner. Nothing may be run then.
#[derive(Debug, thiserror::Error)]
pub enum StillPrivileged {
    /// This process is another user and not root.
    #[error(
        "cannot become user {uid} and group {gid}: this program runs as user {own}, not as root; start it as root, or \
         set [pop3] become_owner = false if the next program needs no mailbox"
    )]
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
    #[error("root's rights are not gone after {0}; the next program is not run")]
    Regained(&'static str),
}

/// Switches to the owner's group, without supplementary groups, and to the owner's user, in all forms of the ids, and
/// checks the result.
///
/// # Errors
/// Fails if any part did not succeed; the parts that did cannot be undone.
pub fn become_owner(uid: u32, gid: u32) -> Result<(), StillPrivileged> {
    // SAFETY: these calls only return numbers.
    let (own, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    if own != 0 && (own != uid || group != gid) {
        return Err(StillPrivileged::NotRoot { uid, gid, own });
    }
    if own == 0 {
        // SAFETY: the list has one element, which lives until the call returns.
        done("set the groups", unsafe { libc::setgroups(1, &raw const gid) })?;
    }
    // SAFETY: numbers only.
    done("set the group", unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: numbers only.
    done("set the user", unsafe { libc::setresuid(uid, uid, uid) })?;
    verify(uid, gid)
}

/// Runs `work` with the rights to files of user `uid` with the group `gid` only. The process must be root.
///
/// It runs on a thread of its own, whose rights are given up for good; all other threads keep theirs.
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
    let (mut uids, mut gids) = ([u32::MAX; 3], [u32::MAX; 3]);
    let [r, e, s] = &mut uids;
    // SAFETY: three pointers to numbers on the stack.
    done("read the user", unsafe { libc::getresuid(r, e, s) })?;
    let [r, e, s] = &mut gids;
    // SAFETY: as above.
    done("read the group", unsafe { libc::getresgid(r, e, s) })?;
    if uids != [uid; 3] {
        return Err(StillPrivileged::Regained("setresuid(2)"));
    }
    if gids != [gid; 3] {
        return Err(StillPrivileged::Regained("setresgid(2)"));
    }
    // SAFETY: the arguments are numbers. The call must fail; a capability that was kept would let it succeed.
    if uid != 0 && unsafe { libc::setresuid(u32::MAX, 0, u32::MAX) } == 0 {
        return Err(StillPrivileged::Regained("setresuid(2): user 0 can be had again"));
    }
    Ok(())
}
