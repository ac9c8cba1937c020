//! Tests of a mailbox on a real file system.

use super::CountRules;
use super::*;
use crate::model::limits::Limits;
use crate::model::usage::{Kind, Over, Usage};
use crate::quota::Denied;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const LIMITS: &str = "100000S,1000C";

/// A Maildir in a folder of its own.
pub(super) struct Mailbox {
    folder: TempDir,
}

impl Mailbox {
    pub fn new() -> Self {
        let mailbox = Mailbox { folder: tempfile::tempdir().unwrap() };
        mailbox.make_folder(".");
        mailbox
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("Maildir")
    }

    pub fn make_folder(&self, name: &str) {
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(self.path().join(name).join(part)).unwrap();
        }
    }

    pub fn put(&self, file: &str, size: usize) {
        fs::write(self.path().join(file), vec![b'x'; size]).unwrap();
    }

    pub fn open(&self) -> MaildirQuota {
        self.under(LIMITS)
    }

    pub fn under(&self, limits: &str) -> MaildirQuota {
        MaildirQuota::open(&self.path(), Limits::parse(limits).unwrap(), CountRules::default()).unwrap()
    }

    pub fn maildirsize(&self) -> Option<String> {
        fs::read_to_string(self.path().join("maildirsize")).ok()
    }

    /// Writes a maildirsize of this age.
    pub fn write_maildirsize(&self, text: &str, age: Duration) {
        let path = self.path().join("maildirsize");
        fs::write(&path, text).unwrap();
        fs::File::open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }
}

pub(super) fn usage(bytes: u64, messages: u64) -> Usage {
    Usage { bytes, messages }
}

#[test]
fn a_count_includes_new_and_cur_of_the_mailbox_and_its_folders() {
    let mailbox = Mailbox::new();
    mailbox.put("new/1.a", 10);
    mailbox.put("cur/2.a,S=20:2,S", 3);
    mailbox.put("cur/3.a,S=40:2,ST", 40);
    mailbox.put("tmp/4.a", 80);
    for (folder, size) in [(".Sent", 100), (".Trash", 1000), (".Trash.Old", 200), ("plain", 5000)] {
        mailbox.make_folder(folder);
        mailbox.put(&format!("{folder}/cur/1.b"), size);
    }
    assert_eq!(mailbox.open().count().unwrap(), usage(330, 4));
    let rules = CountRules { count_trash: true };
    let all = MaildirQuota::open(&mailbox.path(), Limits::NONE, rules).unwrap();
    assert_eq!(all.count().unwrap(), usage(1370, 6));
}

#[test]
fn directories_fifos_and_dot_files_are_not_counted() {
    let mailbox = Mailbox::new();
    fs::create_dir(mailbox.path().join("cur/a,S=5:2,")).unwrap();
    mailbox.put("cur/.dot,S=5:2,", 5);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        mailbox.path().join("cur/fifo,S=5:2,"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(mailbox.open().count().unwrap(), usage(0, 0));
}

#[test]
fn a_link_counts_only_if_it_leads_to_a_file_of_the_mailbox() {
    let mailbox = Mailbox::new();
    fs::write(mailbox.folder.path().join("secret"), "not mine").unwrap();
    mailbox.put("inside", 7);
    let link = |target: &str, name: &str| symlink(target, mailbox.path().join("cur").join(name)).unwrap();
    link("../inside", "1:2,");
    link("../inside", "2,S=30:2,");
    link("../../secret", "3:2,");
    link("/etc/passwd", "4,S=50:2,");
    link("nowhere", "5:2,");
    link("../tmp", "6:2,");
    link("7:2,", "7:2,");
    assert_eq!(mailbox.open().count().unwrap(), usage(37, 2));
}

/// Returns the count of a mailbox in which `link` leads to `target`.
fn counted_with(link: &str, target: &Path) -> Result<Usage, QuotaError> {
    let mailbox = Mailbox::new();
    mailbox.make_folder(".Half");
    mailbox.put("new/1.a", 7);
    let path = mailbox.path().join(link);
    let _ = fs::remove_dir_all(&path);
    symlink(target, path).unwrap();
    mailbox.open().count()
}

#[test]
fn a_directory_of_the_same_owner_on_another_disk_counts() {
    let disk = tempfile::tempdir().unwrap();
    for part in ["tmp", "new", "cur"] {
        fs::create_dir(disk.path().join(part)).unwrap();
    }
    fs::write(disk.path().join("cur/1.b:2,S"), vec![b'x'; 500]).unwrap();
    for link in ["cur", ".Half/cur"] {
        assert_eq!(counted_with(link, &disk.path().join("cur")).unwrap(), usage(507, 2), "{link}");
    }
    assert_eq!(counted_with(".Sent", disk.path()).unwrap(), usage(507, 2));
    symlink(disk.path().join("cur"), disk.path().join("another-link")).unwrap();
    assert_eq!(counted_with("cur", &disk.path().join("another-link")).unwrap(), usage(507, 2));
}

#[test]
fn changes_in_linked_directories_are_noticed() {
    let disk = tempfile::tempdir().unwrap();
    let mailbox = Mailbox::new();
    fs::remove_dir(mailbox.path().join("cur")).unwrap();
    symlink(disk.path(), mailbox.path().join("cur")).unwrap();
    let open = mailbox.open();
    fs::write(disk.path().join("1.b,S=99000:2,S"), "x").unwrap();
    assert_eq!(open.recount(Effort::Changed).unwrap().usage, usage(99_000, 1));
    assert!(matches!(open.precheck(2000), Err(Denied::Mailbox(_))));
    fs::remove_file(disk.path().join("1.b,S=99000:2,S")).unwrap();
    assert!(matches!(open.precheck(2000), Ok(())));
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("1.b,S=70:2,S"), "x").unwrap();
    fs::remove_file(mailbox.path().join("cur")).unwrap();
    symlink(other.path(), mailbox.path().join("cur")).unwrap();
    assert_eq!(open.recount(Effort::Changed).unwrap().usage, usage(70, 1));
}

#[test]
fn a_link_that_leads_to_no_directory_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let circle = folder.path().join("circle");
    symlink(&circle, &circle).unwrap();
    for target in [&folder.path().join("not-mounted"), &file, &circle, Path::new("/proc/self/cwd")] {
        for link in ["new", "cur", ".Half/cur"] {
            let counted = counted_with(link, target);
            assert!(
                matches!(counted, Err(QuotaError::Link { link: StrayLink::Nowhere, .. })),
                "{link} to {target:?}: {counted:?}"
            );
        }
        assert_eq!(counted_with(".Sent", target).unwrap(), usage(7, 1), "there is no folder: {target:?}");
    }
}

#[test]
fn no_link_is_followed_to_a_directory_of_another_user() {
    let disk = tempfile::tempdir().unwrap();
    if !rustix::process::geteuid().is_root() {
        let counted = counted_with("cur", Path::new("/usr"));
        assert!(matches!(counted, Err(QuotaError::Link { link: StrayLink::Foreign { owner: 0, .. }, .. })));
        return;
    }
    fs::create_dir(disk.path().join("cur")).unwrap();
    fs::write(disk.path().join("cur/1.b:2,S"), vec![b'x'; 500]).unwrap();
    std::os::unix::fs::chown(disk.path(), Some(5001), None).unwrap();
    std::os::unix::fs::chown(disk.path().join("cur"), Some(5001), None).unwrap();
    let error = counted_with("cur", &disk.path().join("cur")).unwrap_err();
    assert!(matches!(error, QuotaError::Link { link: StrayLink::Foreign { owner: 5001, expected: 0 }, .. }));
    assert!(error.to_string().contains("cur is a link that leads to a directory of user 5001"), "{error}");
    assert_eq!(counted_with(".Shared", disk.path()).unwrap(), usage(7, 1), "the mail of another user");
}

#[test]
fn a_link_to_a_folder_of_a_mailbox_is_not_counted() {
    let mailbox = Mailbox::new();
    let other = Mailbox::new();
    mailbox.make_folder(".Near");
    mailbox.put(".Near/cur/1:2,", 30);
    other.make_folder(".Far");
    other.put(".Far/cur/1:2,", 500);
    let disk = tempfile::tempdir().unwrap();
    fs::create_dir(disk.path().join("new")).unwrap();
    fs::write(disk.path().join("new/1.c"), vec![b'x'; 4]).unwrap();
    let link = |target: &Path, name: &str| symlink(target, mailbox.path().join(name)).unwrap();
    link(Path::new(".Near"), ".NearAlias");
    link(Path::new("."), ".Circle");
    link(&other.path().join(".Far"), ".FarAlias");
    link(disk.path(), ".Twice1");
    link(disk.path(), ".Twice2");
    assert_eq!(mailbox.open().count().unwrap(), usage(34, 2));
}

#[test]
fn a_mailbox_with_all_its_parts_on_another_disk_keeps_its_figures() {
    let disk = tempfile::tempdir().unwrap();
    let mailbox = Mailbox::new();
    for part in ["tmp", "new", "cur"] {
        fs::remove_dir(mailbox.path().join(part)).unwrap();
        fs::create_dir(disk.path().join(part)).unwrap();
        symlink(disk.path().join(part), mailbox.path().join(part)).unwrap();
    }
    let open = mailbox.under("100S");
    let deliver = || crate::delivery::Spooled::read(&open, &mut &[b'x'; 60][..]).unwrap().store(None);
    deliver().unwrap();
    assert!(matches!(deliver(), Err(crate::delivery::DeliveryError::Denied(Denied::Mailbox(_)))));
    assert_eq!(open.count().unwrap(), usage(60, 1));
    assert_eq!(open.stored().unwrap().usage, Some(usage(60, 1)));
    assert_eq!(fs::read_dir(mailbox.path()).unwrap().count(), 6, "no other files than the figures and the lock");
}

#[test]
fn a_missing_maildirsize_is_created() {
    let mailbox = Mailbox::new();
    mailbox.put("new/1.a,S=99000", 1);
    assert!(matches!(mailbox.open().precheck(1000), Ok(())));
    assert_eq!(mailbox.maildirsize().as_deref(), Some("100000S,1000C\n99000 1\n"));
    assert!(matches!(mailbox.open().precheck(1001), Err(Denied::Mailbox(Over { kind: Kind::Bytes, by: 1, .. }))));
}

#[test]
fn without_a_limit_there_is_no_maildirsize() {
    let mailbox = Mailbox::new();
    let open = mailbox.under("");
    assert!(matches!(open.precheck(u64::MAX), Ok(())));
    open.reserve(10).unwrap().keep();
    assert_eq!(mailbox.maildirsize(), None);
    mailbox.write_maildirsize("100000S\n0 0\n", Duration::ZERO);
    assert_eq!(open.recount(Effort::Full).unwrap().usage, usage(0, 0));
    assert_eq!(mailbox.maildirsize(), None);
}

#[test]
fn a_full_mailbox_is_counted_before_mail_is_refused() {
    let minute = Duration::from_secs(60);
    for (text, age) in [
        ("100000S,1000C\n99910 5\n", 16 * minute),
        ("100000S,1000C\n99900 5\n10 0\n", minute),
        ("100000S,1000C\n0 1000\n", 16 * minute),
    ] {
        let mailbox = Mailbox::new();
        mailbox.write_maildirsize(text, age);
        assert!(matches!(mailbox.open().precheck(91), Ok(())), "{text:?} {age:?}");
        assert_eq!(mailbox.maildirsize().as_deref(), Some("100000S,1000C\n0 0\n"), "{text:?} {age:?}");
    }
}

#[test]
fn a_recent_count_of_another_program_is_trusted_until_a_change() {
    type Change = fn(&Mailbox);
    let changes: [(Change, bool); 6] = [
        (|_| {}, false),
        (|mailbox| fs::remove_file(mailbox.path().join("new/1.a")).unwrap(), true),
        (|mailbox| fs::remove_file(mailbox.path().join(".Sent/cur/2.a")).unwrap(), true),
        (|mailbox| fs::remove_dir_all(mailbox.path().join(".Sent")).unwrap(), true),
        (|mailbox| set_times(&mailbox.path().join("new"), SystemTime::now()), true),
        // A restored backup: only its ctime shows the change.
        (|mailbox| set_times(&mailbox.path().join("new"), SystemTime::UNIX_EPOCH), true),
    ];
    for (number, (change, counted)) in changes.into_iter().enumerate() {
        let mailbox = Mailbox::new();
        mailbox.make_folder(".Sent");
        mailbox.put("new/1.a", 10);
        mailbox.put(".Sent/cur/2.a", 10);
        for part in ["new", "cur", ".Sent/new", ".Sent/cur"] {
            set_times(&mailbox.path().join(part), SystemTime::UNIX_EPOCH);
        }
        // The clock of the file system ticks in milliseconds.
        tick(&mailbox);
        mailbox.write_maildirsize("100000S,1000C\n99910 5\n", Duration::from_secs(60));
        tick(&mailbox);
        change(&mailbox);
        assert_eq!(matches!(mailbox.open().precheck(91), Ok(())), counted, "change {number}");
    }
}

fn set_times(path: &Path, time: SystemTime) {
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// Waits until the file system's clock has advanced.
fn tick(mailbox: &Mailbox) {
    let now = || {
        let file = mailbox.folder.path().join("tick");
        fs::write(&file, "").unwrap();
        fs::metadata(&file).unwrap().modified().unwrap()
    };
    let before = now();
    while now() <= before {}
}

#[test]
fn an_emptied_mailbox_accepts_mail_again() {
    let mailbox = Mailbox::new();
    mailbox.make_folder(".Sent");
    for file in ["new/1.a", "cur/2.a:2,S", ".Sent/cur/3.a:2,S"] {
        mailbox.put(file, 33_000);
    }
    let open = mailbox.open();
    for file in ["new/1.a", "cur/2.a:2,S", ".Sent/cur/3.a:2,S"] {
        assert!(matches!(open.precheck(33_000), Err(Denied::Mailbox(_))), "{file}");
        assert!(matches!(open.reserve(33_000), Err(Denied::Mailbox(_))), "{file}");
        fs::remove_file(mailbox.path().join(file)).unwrap();
        assert!(matches!(open.precheck(33_000), Ok(())), "{file}");
        mailbox.put(file, 33_000);
        assert!(matches!(open.precheck(33_000), Ok(())), "messages of other programs are not searched for");
        open.recount(Effort::Full).unwrap();
    }
    fs::remove_dir_all(mailbox.path().join(".Sent")).unwrap();
    open.reserve(33_000).unwrap().keep();
}

#[test]
fn a_recent_count_is_renewed_if_the_mailbox_has_changed() {
    let mailbox = Mailbox::new();
    let put = || mailbox.put("cur/1.a:2,S", 99_000);
    let remove = || fs::remove_file(mailbox.path().join("cur/1.a:2,S")).unwrap();
    put();
    let open = mailbox.open();
    assert!(!open.renew().unwrap(), "no mail is refused because of a count that does not exist");
    open.recount(Effort::Full).unwrap();
    tick(&mailbox);
    remove();
    assert!(open.renew().unwrap());
    assert_eq!(mailbox.maildirsize().as_deref(), Some("100000S,1000C\n0 0\n"));
    put();
    for (kept, renewed) in [("100000S,1000C\n99000 1\n", true), ("100000S,1000C\n98000 1\n1000 0\n", false)] {
        fs::write(mailbox.path().join("maildirsize"), kept).unwrap();
        tick(&mailbox);
        remove(); // other programs count again themselves if there are several lines
        assert_eq!(open.renew().unwrap(), renewed, "{kept}");
        put();
    }
}

#[test]
fn a_full_mailbox_at_rest_refuses_mail_without_a_count() {
    let mailbox = Mailbox::new();
    mailbox.put("cur/1.a:2,S", 99_000);
    let open = mailbox.open();
    let path = mailbox.path().join("maildirsize");
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for part in ["new", "cur"] {
        fs::File::open(mailbox.path().join(part)).unwrap().set_modified(long_ago).unwrap();
    }
    // ctime cannot be set, and has to be two seconds old.
    let rested = || open.recount(Effort::Changed).unwrap().folders_read == 0;
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while !rested() {
        assert!(std::time::Instant::now() < patience, "the mailbox is still not at rest");
        std::thread::sleep(Duration::from_millis(100));
    }
    // A new file may get the inode of a removed one.
    let written = || fs::metadata(&path).map(|file| (file.ino(), file.ctime(), file.ctime_nsec())).unwrap();
    let before = written();
    for _ in 0..3 {
        assert!(matches!(open.precheck(2000), Err(Denied::Mailbox(_))));
        assert!(matches!(open.reserve(2000), Err(Denied::Mailbox(_))));
        assert!(!open.renew().unwrap());
    }
    assert_eq!(written(), before, "nothing is counted or written");
    tick(&mailbox);
    fs::remove_file(mailbox.path().join("maildirsums")).unwrap();
    assert!(matches!(open.precheck(2000), Err(Denied::Mailbox(_))));
    assert_ne!(written(), before, "without the sums the mailbox is counted");
}

#[test]
fn a_dropped_reservation_is_taken_back() {
    let mailbox = Mailbox::new();
    let open = mailbox.open();
    let reservation = open.reserve(500).unwrap();
    assert_eq!(reservation.usage(), Some(usage(500, 1)));
    mailbox.put("new/1.a", 500);
    reservation.keep();
    drop(open.reserve(300).unwrap());
    assert_eq!(mailbox.maildirsize().as_deref(), Some("100000S,1000C\n0 0\n500 1\n300 1\n-300 -1\n"));
    assert_eq!(open.stored().unwrap().usage, Some(usage(500, 1)));
    assert_eq!(open.count().unwrap(), usage(500, 1));
}

#[test]
fn room_is_reserved_up_to_the_limit() {
    let mailbox = Mailbox::new();
    let open = mailbox.under("3C");
    for number in 0..3 {
        let reservation = open.reserve(1).unwrap();
        mailbox.put(&format!("new/{number}.a"), 1);
        reservation.keep();
    }
    assert!(matches!(open.reserve(1), Err(Denied::Mailbox(Over { kind: Kind::Messages, limit: 3, by: 1, .. }))));
    fs::remove_file(mailbox.path().join("new/1.a")).unwrap();
    open.reserve(1).unwrap().keep();
}

#[test]
fn parallel_reservations_keep_the_sum_exact_and_the_limit() {
    let mailbox = Mailbox::new();
    let kept = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (mailbox, kept) = (&mailbox, &kept);
            scope.spawn(move || {
                for number in 0..100 {
                    let open = mailbox.under("100000S,250C");
                    let Ok(reservation) = open.reserve(7) else { continue };
                    mailbox.put(&format!("new/{worker}.{number}"), 7);
                    reservation.keep();
                    kept.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let open = mailbox.under("100000S,250C");
    assert_eq!(kept.into_inner(), 250);
    assert_eq!(open.count().unwrap(), usage(1750, 250));
    assert_eq!(open.stored().unwrap().usage, Some(usage(1750, 250)));
}

#[test]
fn a_line_added_to_a_replaced_file_is_added_again() {
    let mailbox = Mailbox::new();
    let open = mailbox.open();
    open.recount(Effort::Full).unwrap();
    let found = open.open_file(maildirsize::For::Appending).unwrap().map_err(|doubt| doubt.to_string()).unwrap();
    open.recount(Effort::Full).unwrap();
    open.add_line(found.file, 10, 1).unwrap();
    assert_eq!(mailbox.maildirsize().as_deref(), Some("100000S,1000C\n0 0\n10 1\n"));
}

#[test]
fn a_link_in_place_of_maildirsize_is_replaced_and_not_followed() {
    let mailbox = Mailbox::new();
    let secret = mailbox.folder.path().join("secret");
    fs::write(&secret, "100000S,1000C\n1 1\n").unwrap();
    for make in [|from: &Path, to: &Path| symlink(from, to), |from: &Path, to: &Path| fs::hard_link(from, to)] {
        let _ = fs::remove_file(mailbox.path().join("maildirsize"));
        make(&secret, &mailbox.path().join("maildirsize")).unwrap();
        mailbox.open().reserve(5).unwrap().keep();
        assert_eq!(mailbox.maildirsize().as_deref(), Some("100000S,1000C\n0 0\n5 1\n"));
        assert_eq!(fs::read_to_string(&secret).unwrap(), "100000S,1000C\n1 1\n");
    }
}

#[test]
fn a_directory_in_place_of_maildirsize_does_not_stop_mail() {
    let mailbox = Mailbox::new();
    fs::create_dir(mailbox.path().join("maildirsize")).unwrap();
    let open = mailbox.under("10S");
    assert!(matches!(open.recount(Effort::Full), Err(QuotaError::Io { .. })));
    assert!(matches!(open.precheck(5), Ok(())));
    open.reserve(5).unwrap().keep();
    assert!(matches!(open.precheck(11), Err(Denied::Mailbox(_))));
    assert_eq!(fs::read_dir(mailbox.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_new_maildirsize_is_as_private_as_the_mailbox() {
    use std::os::unix::fs::PermissionsExt;
    let mailbox = Mailbox::new();
    for (directory, file) in [(0o700, 0o600), (0o750, 0o640)] {
        fs::set_permissions(mailbox.path(), fs::Permissions::from_mode(directory)).unwrap();
        mailbox.open().recount(Effort::Full).unwrap();
        let mode = fs::metadata(mailbox.path().join("maildirsize")).unwrap().mode();
        assert_eq!(mode & 0o7777, file);
    }
}

#[test]
fn forgetting_a_quota_removes_the_files() {
    let mailbox = Mailbox::new();
    let open = mailbox.open();
    open.recount(Effort::Full).unwrap();
    open.forget().unwrap();
    open.forget().unwrap();
    assert_eq!(mailbox.maildirsize(), None);
}

#[test]
fn a_check_returns_the_stored_and_the_counted_usage() {
    let mailbox = Mailbox::new();
    mailbox.put("cur/1.a,S=70:2,", 70);
    mailbox.write_maildirsize("100000S,1000C\n50 1\n", Duration::ZERO);
    let check = mailbox.open().check().unwrap();
    assert_eq!((check.stored.usage, check.counted), (Some(usage(50, 1)), usage(70, 1)));
    assert_eq!(check.stored.doubt, None);
    mailbox.write_maildirsize("5S\n50 1\n", Duration::ZERO);
    let other = Limits::parse("5S").unwrap();
    assert_eq!(mailbox.open().stored().unwrap().doubt, Some(Doubt::OtherLimits(other)));
    assert_eq!(mailbox.maildirsize().as_deref(), Some("5S\n50 1\n"), "a check writes nothing");
}

#[test]
fn only_a_maildir_of_the_right_owner_is_opened() {
    let mailbox = Mailbox::new();
    let open = |path: &Path| MaildirQuota::open(path, Limits::NONE, CountRules::default());
    assert!(matches!(open(mailbox.folder.path()), Err(QuotaError::NotAMaildir(_))));
    assert!(matches!(open(Path::new("/etc/passwd")), Err(QuotaError::NotAMaildir(_))));
    assert!(matches!(open(Path::new("/nowhere")), Err(QuotaError::Io { .. })));
    mailbox.make_folder(".Sub");
    mailbox.put(".Sub/maildirfolder", 0);
    assert!(matches!(open(&mailbox.path().join(".Sub")), Err(QuotaError::Folder(_))));
    let owner = fs::metadata(mailbox.path()).unwrap().uid();
    assert!(mailbox.open().owned_by(owner).is_ok());
    assert!(matches!(mailbox.open().owned_by(owner + 1), Err(QuotaError::WrongOwner { .. })));
}
