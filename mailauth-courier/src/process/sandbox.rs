//! Denying system calls that the daemon does not need once it runs, by seccomp(2).
//!
//! The list names the calls that are denied, not those that are allowed: the calls that the C library makes for a
//! thread, a name or a file differ between its versions, and a call missing from a list of allowed ones would be an
//! outage. The denied calls are those that an attacker that has taken over the process would want next: to start a
//! program, to become another user, to read other processes, to change mounts, to load code into the kernel, and rarely
//! used parts of the kernel that have been attacked before. Such a call fails with EPERM.
//!
//! The files that the daemon may change are limited by [`landlock`], to the folders of [`writable`].

pub mod landlock;
pub mod writable;

use rustix::io::Errno;
use std::io;

/// Number of this machine's architecture in the kernel's data; `None` if the numbers of its calls are not known here.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_003E);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_00B7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// Bit of the calls of another ABI (x32), which this program never uses.
const OTHER_ABI: u32 = 0x4000_0000;

/// Offset of the number of the call in the data of the filter.
const NUMBER_AT: u32 = 0;

/// Offset of the architecture in the data of the filter.
const ARCHITECTURE_AT: u32 = 4;

/// Offset of the lower half of the first argument. The architectures known here are little-endian.
const FLAGS_AT: u32 = 16;

/// The denied calls. unshare(2) is denied too, except to get a working directory and a umask for a thread, which
/// binding a socket needs.
const DENIED: &[libc::c_long] = &[
    // Starting a program.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Becoming another user, or gaining capabilities.
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

/// The threads that lose these calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// All threads of this process, and those that they start.
    All,
    /// The calling thread, and those that it starts.
    This,
}

/// Denies the calls. This cannot be undone.
///
/// # Errors
/// Fails if the kernel has no such filters, or this machine's calls are not known here. Nothing is denied then.
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
    // SAFETY: the program and its instructions live until the call returns, and the kernel checks and copies them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    match result {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has different filters"))),
    }
}

/// Returns the filter: it checks the architecture, then compares the number of the call with each denied one.
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
        if_least(OTHER_ABI, 0, 1),
        answer(refusal),
    ];
    // All other calls skip this, with their number still loaded.
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
    // The codes of these instructions have 16 bits.
    libc::sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn denied_calls_fail_and_all_others_work() {
        let thread = std::thread::spawn(|| {
            enter(Threads::This).unwrap();
            // In this thread: a child process inherits the filter.
            let started = Command::new("/bin/true").status().map_err(|error| error.kind());
            let became = Command::new("/bin/true").uid(5000).status().map_err(|error| error.kind());
            // SAFETY: the arguments are numbers; nothing changes even if the call succeeds.
            let set = unsafe { libc::syscall(libc::SYS_setresuid, -1, -1, -1) };
            let unshared = [libc::CLONE_FS | libc::CLONE_NEWNS, libc::CLONE_NEWUSER, libc::CLONE_FS].map(|flags| {
                // SAFETY: the arguments are numbers, and the thread ends soon.
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
        assert!(Command::new("/bin/true").status().unwrap().success(), "other threads are not affected");
    }
}
