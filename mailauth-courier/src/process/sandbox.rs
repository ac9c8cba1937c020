//! System calls that the server never needs once it runs are refused by the kernel: seccomp(2).
//!
//! It is a list of what is denied, not of what is allowed: which calls the C library makes for a thread, a name or a file
//! differs between its versions, and a call that is missing from a list of the allowed would be an outage. What is denied is
//! what somebody who has taken the process over would want next: to start a program, to become another user, to look into
//! other processes, to change mounts, to load code into the kernel, and rarely used parts of the kernel that were a way into
//! it before. Such a call fails with EPERM.
//!
//! Which files it may change is another matter: [`landlock`], in the folders of [`writable`].

pub mod landlock;
pub mod writable;

use rustix::io::Errno;
use std::io;

/// What this machine's calls are called in the kernel's data; none where the numbers are not known here.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_003E);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_00B7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// Calls with this bit are those of another kind (x32), of which nothing here is one.
const OTHER_KIND: u32 = 0x4000_0000;

/// Where a call's number, its architecture and the lower half of its first argument are in what the filter is given. The
/// machines that are known here are little-endian.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const FLAGS_AT: u32 = 16;

/// What is refused. Of unshare(2) everything is too but a working directory and a umask of the thread's own, in which
/// sockets are made.
const DENIED: &[libc::c_long] = &[
    // Starting a program.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Becoming another user, or getting capabilities.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    // Other processes, and what they have open.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_personality,
    libc::SYS_syslog,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
];

/// Which threads lose these calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// All of this process, and those that they start.
    All,
    /// This one, and those that it starts.
    This,
}

/// Takes the calls away, for good.
///
/// # Errors
/// When the kernel has no such filters, or this machine's calls are not known here. Nothing is taken away then.
pub fn enter(threads: Threads) -> io::Result<()> {
    let architecture = ARCHITECTURE.ok_or(io::Error::from(Errno::NOSYS))?;
    let mut filter = filter(architecture);
    rustix::thread::set_no_new_privs(true)?;
    let program = libc::sock_fprog {
        len: filter.len().try_into().map_err(|_| io::Error::from(Errno::INVAL))?,
        filter: filter.as_mut_ptr(),
    };
    let flags = match threads {
        Threads::All => libc::SECCOMP_FILTER_FLAG_TSYNC,
        Threads::This => 0,
    };
    // SAFETY: the program and its instructions live until the call is over, and the kernel checks and copies them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    match result {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has other filters"))),
    }
}

/// The filter: first the architecture, then the number, which is compared with each that is denied.
fn filter(architecture: u32) -> Vec<libc::sock_filter> {
    let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
    let answer = |with| step(libc::BPF_RET | libc::BPF_K, with, 0, 0);
    let if_equal = |to, yes, no| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to, yes, no);
    let if_least = |to, yes, no| step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, to, yes, no);
    let refusal = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let mut steps = vec![
        load(ARCHITECTURE_AT),
        if_equal(architecture, 1, 0),
        answer(refusal),
        load(NUMBER_AT),
        if_least(OTHER_KIND, 0, 1),
        answer(refusal),
    ];
    // All other calls skip this, and are compared with their number still.
    steps.extend([
        if_equal(libc::SYS_unshare as u32, 0, 4),
        load(FLAGS_AT),
        if_equal(libc::CLONE_FS.unsigned_abs(), 0, 1),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(refusal),
    ]);
    for number in DENIED.iter().filter_map(|number| u32::try_from(*number).ok()) {
        steps.extend([if_equal(number, 0, 1), answer(refusal)]);
    }
    steps.push(answer(libc::SECCOMP_RET_ALLOW));
    steps
}

fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    // The codes of such instructions have 16 bits.
    libc::sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn what_is_denied_fails_and_the_rest_goes_on() {
        let thread = std::thread::spawn(|| {
            enter(Threads::This).unwrap();
            // In this thread: a child made by fork has its filter.
            let started = Command::new("/bin/true").status().map_err(|error| error.kind());
            let became = Command::new("/bin/true").uid(5000).status().map_err(|error| error.kind());
            // SAFETY: numbers only; it changes nothing if it works.
            let set = unsafe { libc::syscall(libc::SYS_setresuid, -1, -1, -1) };
            let unshared = [libc::CLONE_FS | libc::CLONE_NEWNS, libc::CLONE_NEWUSER, libc::CLONE_FS].map(|flags| {
                // SAFETY: numbers only, for this thread, which ends soon.
                unsafe { libc::unshare(flags) }
            });
            let file = std::fs::read("/proc/self/comm").is_ok();
            let thread = std::thread::spawn(|| 7).join().unwrap();
            let listener = std::net::TcpListener::bind("127.0.0.1:0").is_ok();
            (started, became, set, unshared, file, thread, listener)
        });
        let (started, became, set, unshared, file, thread, listener) = thread.join().unwrap();
        for outcome in [started, became] {
            assert_eq!(outcome.err(), Some(io::ErrorKind::PermissionDenied));
        }
        assert_eq!((set, unshared), (-1, [-1, -1, 0]));
        assert_eq!((file, thread, listener), (true, 7, true));
        assert!(Command::new("/bin/true").status().unwrap().success(), "other threads have lost nothing");
    }
}
