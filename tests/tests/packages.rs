//! packaging/build: the Debian packages, made from the programs that the other tests run.

use mailauth_tests::{Scratch, ended, output_with_input, program, run};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const VERSION: &str = "9.8.7~test1";
const NAMES: [&str; 2] = ["mailauth", "mailauth-exim"];

/// The packages, and their files unpacked over each other, as on a host.
struct Packages {
    folder: Scratch,
}

impl Packages {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}_{VERSION}_amd64.deb"))
    }

    fn field(&self, name: &str, field: &str) -> String {
        run(Command::new("dpkg-deb").arg("--field").arg(self.file(name)).arg(field)).trim_end().to_owned()
    }

    /// Returns the mode and owner of each path in a package, and where links lead.
    fn entries(&self, name: &str) -> BTreeMap<String, Entry> {
        let list = run(Command::new("dpkg-deb").arg("--contents").arg(self.file(name)));
        list.lines().map(entry).collect()
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

struct Entry {
    mode: String,
    owner: String,
    target: Option<String>,
}

/// Reads a line such as `-rw-r--r-- root/root 628 2026-11-28 17:59 ./etc/mailauth/mailauth.toml`.
fn entry(line: &str) -> (String, Entry) {
    let (path, target) = match line.split_once(" -> ") {
        Some((left, target)) => (left, Some(target.to_owned())),
        None => (line, None),
    };
    let words: Vec<_> = path.split_whitespace().collect();
    let [mode, owner, _, _, _, path] = words[..] else { panic!("{line}") };
    let path = path.trim_start_matches('.').trim_end_matches('/').to_owned();
    (path, Entry { mode: mode.into(), owner: owner.into(), target })
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

fn programs() -> PathBuf {
    program("mailauth").parent().expect("a folder").to_owned()
}

/// Returns a command for packaging/build that packs the programs of the tests.
fn build(output: &Path) -> Command {
    let mut command = Command::new(repository().join("packaging/build"));
    command.args(["--version", VERSION]).arg("--programs").arg(programs()).arg("--output").arg(output);
    command
}

fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let packages = Packages { folder: Scratch::new("packages") };
        run(&mut build(packages.folder.path()));
        for name in NAMES {
            run(Command::new("dpkg-deb").arg("--extract").arg(packages.file(name)).arg(packages.root()));
        }
        packages
    })
}

#[test]
fn the_same_programs_give_the_same_bytes() {
    let sums = fs::read_to_string(packages().folder.join("SHA256SUMS")).expect("checksums");
    assert_eq!(sums.lines().count(), 2, "{sums}");
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(packages().folder.path()));

    // Another time zone, language, mask and folder.
    let other = Scratch::new("packages-again");
    let build = build(&other.join("deep/folder"));
    let mut again = Command::new("sh");
    again.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(build.get_program()).args(build.get_args());
    run(again.env("TZ", "Asia/Tokyo").env("LC_ALL", "C.UTF-8").current_dir(other.path()));
    assert_eq!(fs::read_to_string(other.join("deep/folder/SHA256SUMS")).expect("checksums"), sums);
}

#[test]
fn lintian_finds_no_errors_and_no_warnings() {
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0"]);
    let output = output_with_input(lintian.args(NAMES.map(|name| packages().file(name))), "");
    let text = ended(&output, 0);
    assert!(!text.lines().any(|line| line.starts_with("E:") || line.starts_with("W:")), "{text}");
}

#[test]
fn files_belong_to_root_and_only_programs_are_executable() {
    let executable = ["/usr/bin/", "/usr/sbin/", "/usr/lib/mailauth/"];
    for (path, entry) in NAMES.iter().flat_map(|name| packages().entries(name)) {
        assert_eq!(entry.owner, "root/root", "{path}");
        let is_program = executable.iter().any(|folder| path.starts_with(folder)) && !path.ends_with(".so");
        let expected = match entry.mode.as_bytes()[0] {
            b'd' => "drwxr-xr-x",
            b'l' => "lrwxrwxrwx",
            _ if is_program => "-rwxr-xr-x",
            _ => "-rw-r--r--",
        };
        assert_eq!(entry.mode, expected, "{path}");
    }
}

#[test]
fn programs_find_each_other_and_are_stripped() {
    let (main, exim) = (packages().entries("mailauth"), packages().entries("mailauth-exim"));
    let has = |entries: &BTreeMap<String, Entry>, paths: &[&str]| {
        for path in paths {
            assert!(entries.contains_key(*path), "{path} is missing");
        }
    };
    // Each program looks in its own folder for the one that it starts.
    has(&main, &["/usr/bin/mailauth", "/usr/sbin/mailauth-courier", "/usr/sbin/mailauth-mailboxes"]);
    has(&main, &["/usr/lib/mailauth/mailauth-pop3", "/usr/lib/mailauth/mailauth-pop3-database"]);
    has(&exim, &["/usr/lib/mailauth/libmailauth_exim.so", "/usr/lib/mailauth/mailauth-exim"]);
    has(&exim, &["/usr/lib/mailauth/mailauth-exim-database"]);
    for name in ["/usr/sbin/mailauth-pop3", "/usr/sbin/mailauth-dovecot"] {
        assert_eq!(main[name].target.as_deref(), Some("../lib/mailauth/mailauth-pop3"), "{name}");
    }
    for program in ["usr/bin/mailauth", "usr/sbin/mailauth-courier", "usr/lib/mailauth/libmailauth_exim.so"] {
        let sections = run(Command::new("readelf").args(["--sections", "--wide"]).arg(packages().root().join(program)));
        let unneeded = [".debug_info", ".symtab"].iter().any(|name| sections.contains(name));
        assert!(sections.contains(".text") && !unneeded, "{program}: {sections}");
    }
    let version = run(Command::new(packages().root().join("usr/bin/mailauth")).arg("--version"));
    assert_eq!(version.trim_end(), concat!("mailauth ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn units_and_examples_name_files_of_the_packages() {
    let paths: BTreeSet<String> = NAMES.iter().flat_map(|name| packages().entries(name).into_keys()).collect();
    let mut units = 0;
    for path in &paths {
        let unit = path.starts_with("/lib/systemd/system/");
        let examples = path.starts_with("/usr/share/doc/mailauth-exim/examples/") || path.starts_with("/etc/");
        if !(unit || examples) || packages().root().join(&path[1..]).is_dir() {
            continue;
        }
        let text = packages().text(&path[1..]);
        assert!(!text.contains("/usr/local/lib/mailauth") && !text.contains("/usr/local/bin/mailauth"), "{path}");
        for word in text.split(|c: char| c.is_whitespace() || "=,;'\"{}".contains(c)) {
            if ["/usr/bin/mailauth", "/usr/sbin/mailauth", "/usr/lib/mailauth/"].iter().any(|p| word.starts_with(p)) {
                assert!(paths.contains(word), "{path} names {word}");
                units += usize::from(unit);
            }
        }
    }
    assert!(units >= 3, "{units} programs in units");
    assert!(paths.contains("/lib/systemd/system/courier-authdaemon.service.d/mailauth.conf"));
}

#[test]
fn control_files_say_what_the_packages_need() {
    for name in NAMES {
        assert_eq!(packages().field(name, "Version"), VERSION);
        assert!(packages().field(name, "Depends").contains("libc6 (>= "), "{name}");
    }
    assert!(packages().field("mailauth", "Depends").contains("systemd"));
    let exim = packages().field("mailauth-exim", "Depends");
    assert!(exim.contains(&format!("mailauth (= {VERSION})")), "{exim}");
    let conffiles = run(Command::new("dpkg-deb").arg("--info").arg(packages().file("mailauth")).arg("conffiles"));
    let expected = ["/etc/apparmor.d/mailauth-courier", "/etc/apparmor.d/mailauth-mailboxes"];
    let rest = ["/etc/apparmor.d/mailauth-pop3", "/etc/mailauth/mailauth.toml"];
    assert_eq!(conffiles.lines().collect::<Vec<_>>(), [expected, rest].concat());
}

#[test]
fn the_configuration_of_the_package_works() {
    let folder = Scratch::new("packaged");
    let text = packages().text("etc/mailauth/mailauth.toml");
    let own = text.replace("/var/lib/mailauth", folder.path().to_str().expect("a path")).replace("vmail", "mail");
    let config = folder.join("mailauth.toml");
    fs::write(&config, own.replace("#allow_users", "allow_users").replace("Debian-exim", "mail")).expect("a file");
    for arguments in [&["init"][..], &["domain", "add", "example.org"]] {
        run(Command::new(packages().root().join("usr/bin/mailauth")).arg("--config").arg(&config).args(arguments));
    }
    assert!(folder.join("mail.db").exists());
}

#[test]
fn the_copyright_file_names_every_crate_and_its_licence() {
    let text = packages().text("usr/share/doc/mailauth/copyright");
    assert_eq!(packages().text("usr/share/doc/mailauth-exim/copyright"), text);
    let mut tree = Command::new(std::env::var_os("CARGO").expect("cargo"));
    tree.args(["tree", "--offline", "--locked", "--workspace", "--edges", "normal", "--prefix", "none"]);
    tree.args(["--exclude", "mailauth-benches", "--exclude", "mailauth-tests", "--exclude", "mailauth-manual"]);
    let crates = run(tree.args(["--format", "{p}"]).current_dir(repository()));
    let crates: BTreeSet<&str> = crates.lines().filter(|line| !line.is_empty() && !line.contains('/')).collect();
    assert!(crates.len() > 100, "{crates:?}");
    for line in crates {
        let mut words = line.split(' ');
        let (name, version) = (words.next().expect("a name"), words.next().expect("a version"));
        let paragraph = format!("\nFiles: vendor/{name}-{}/*\n", version.trim_start_matches('v'));
        assert!(text.contains(&paragraph), "{line} is not in the copyright file");
    }

    let allowed = fs::read_to_string(repository().join("deny.toml")).expect("deny.toml");
    let licences: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("License: ")).flat_map(|line| line.split(" and ")).collect();
    for licence in licences.into_iter().filter(|name| !name.contains(" or ") && *name != "public-domain") {
        assert!(text.contains(&format!("\n\nLicense: {licence}\n ")), "the text of {licence} is missing");
        let name = if licence == "Expat" { "MIT" } else { licence };
        assert!(allowed.contains(&format!("\"{name}\"")), "deny.toml does not allow {name}");
    }
}

#[test]
fn the_apparmor_profiles_are_for_programs_of_the_package() {
    let programs = [
        ("mailauth-courier", "usr/sbin/mailauth-courier"),
        ("mailauth-mailboxes", "usr/sbin/mailauth-mailboxes"),
        ("mailauth-pop3", "usr/lib/mailauth/mailauth-pop3"),
    ];
    for (name, program) in programs {
        let path = packages().root().join("etc/apparmor.d").join(name);
        run(Command::new("apparmor_parser").args(["--skip-kernel-load", "--skip-cache"]).arg(&path));
        let text = fs::read_to_string(&path).expect("a profile");
        assert!(text.contains(&format!("profile {name} /{program}")) && text.contains("complain"), "{text}");
        assert!(packages().root().join(program).exists(), "{program}");
    }
}

#[test]
fn mistakes_of_the_caller_are_named() {
    let folder = Scratch::new("no-packages");
    let attempt = |arguments: &[&str]| {
        let mut command = Command::new(repository().join("packaging/build"));
        output_with_input(command.args(arguments).arg("--output").arg(folder.path()), "")
    };
    let text = ended(&attempt(&["--programs", "/nonexistent"]), 1);
    assert!(text.contains("/nonexistent has no mailauth;"), "{text}");
    let text = ended(&attempt(&["--version", "1/2"]), 1);
    assert!(text.contains("'1/2' is not a version"), "{text}");
    assert!(ended(&attempt(&["--release"]), 2).contains("packaging/build [--programs DIR]"));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
