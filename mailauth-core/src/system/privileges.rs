//! Becoming the mailbox's owner, for good, or for one piece of work.

use std::io;

/// Why we are not the mailbox's owner. Nothing may be run then.
#[derive(Debug, thiserror::Error)]
pub enum StillPrivileged {
    /// We are somebody else and not root.
    #[error(
        "cannot become user {uid} and group {gid}: this program runs as user {own}, not as root; start it as root, or \
         set [pop3] become_owner = false if the next program needs no mailbox"
    )]
    NotRoot {
        /// Who we should be.
        uid: u32,
        /// Our group.
        gid: u32,
        /// Who we are.
        own: u32,
    },
    /// The system refused.
    #[error("cannot {0}: {1}")]
    Refused(&'static str, #[source] io::Error),
    /// It said yes, but it is not so.
    #[error("root's rights are not gone after {0}; the next program is not run")]
    Regained(&'static str),
}

/// Takes the owner's group alone, then the group's and the user's id in all their forms, and makes sure of it.
///
/// # Errors
/// When not all of it is done: what has been cannot be undone.
pub fn become_owner(uid: u32, gid: u32) -> Result<(), StillPrivileged> {
    // SAFETY: these ask for numbers.
    let (own, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    if own != 0 && (own != uid || group != gid) {
        return Err(StillPrivileged::NotRoot { uid, gid, own });
    }
    if own == 0 {
        // SAFETY: the list has one element, which lives until the call is over.
        done("set the groups", unsafe { libc::setgroups(1, &raw const gid) })?;
    }
    // SAFETY: numbers only.
    done("set the group", unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: numbers only.
    done("set the user", unsafe { libc::setresuid(uid, uid, uid) })?;
    verify(uid, gid)
}

/// Runs `work` with the rights to files that user `uid` with the group `gid` alone has. To be called as root.
///
/// It runs on a thread of its own, whose rights are given up for good; all other threads keep theirs.
///
/// # Errors
/// As `work`, and when there is no thread, or root's rights are not gone.
pub fn acting_as<T: Send>(uid: u32, gid: u32, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || {
            give_up_for_files(uid, gid)?;
            work()
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that acts as the owner has failed")))
    })
}

/// Gives up this thread's rights to files. Only the ids for files change: with the others, that user could send signals to
/// this process.
fn give_up_for_files(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: an empty list, of which nothing is read. The system call itself changes the calling thread alone, where the
    // library's function changes all.
    if unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: numbers only; both change the calling thread alone. The second takes root's capabilities for files too. An id
    // that is none changes nothing and returns the one in force.
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
    // SAFETY: three pointers to numbers that live on the stack.
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
    // SAFETY: numbers only; it must fail, as a capability that was kept would let it succeed.
    if uid != 0 && unsafe { libc::setresuid(u32::MAX, 0, u32::MAX) } == 0 {
        return Err(StillPrivileged::Regained("setresuid(2): user 0 can be had again"));
    }
    Ok(())
}
