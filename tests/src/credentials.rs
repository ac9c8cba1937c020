//! Temporarily acting as another user.

use crate::scratch::User;

/// Runs `act` in a thread that has the user and group of `user` and no other groups, which is what a server at the
/// other end of a unix socket sees.
///
/// # Panics
/// Panics if the thread may not change its user, or `act` panics.
pub fn as_user<T: Send>(user: User, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let none: *const libc::gid_t = std::ptr::null();
            let (uid, gid) = (libc::c_long::from(user.uid), libc::c_long::from(user.gid));
            // SAFETY: these system calls change the credentials of this thread only (the C library's functions of the
            // same names change all threads), and take no pointer except that of an empty list.
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
