//! Acting as another user, for a moment.

use crate::scratch::User;

/// Runs something in a thread that has another user and group and no others, as a server at the other end of a unix
/// socket sees it.
///
/// # Panics
/// Panics if the thread may not change, or `act` panics.
pub fn as_user<T: Send>(user: User, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let none: *const libc::gid_t = std::ptr::null();
            let (uid, gid) = (libc::c_long::from(user.uid), libc::c_long::from(user.gid));
            // SAFETY: these calls change the credentials of this thread alone (the C library's functions of the same
            // names change all threads), and take no pointer but that of an empty list.
            let changed = unsafe {
                libc::syscall(libc::SYS_setgroups, 0, none) == 0
                    && libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
                    && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
            };
            assert!(changed, "cannot act as {user:?}: {}", std::io::Error::last_os_error());
            act()
        });
        thread.join().expect("no panic as another user")
    })
}
