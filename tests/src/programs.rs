//! Our own programs, as cargo has built them.

use crate::process::run;
use crate::scratch::User;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of a program of this workspace, built from what stands in it now.
///
/// `MAILAUTH_PROGRAMS` may name a folder with other builds to test.
///
/// # Panics
/// Panics if it does not build.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| match std::env::var_os("MAILAUTH_PROGRAMS") {
        Some(folder) => folder.into(),
        None => build(),
    });
    folder.join(name)
}

/// A program of this workspace, to be run by a user without other groups than its own.
///
/// # Panics
/// Panics as [`program`] does.
pub fn program_as(user: User, name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--clear-groups".into(), format!("--reuid={}", user.uid), format!("--regid={}", user.gid)]);
    command.arg(program(name));
    command
}

/// The path of a library of this workspace, beside the programs.
///
/// # Panics
/// Panics as [`program`] does.
pub fn library(name: &str) -> PathBuf {
    program(name)
}

/// The path of a checkpassword program in the static build, built by the line that docs/checkpassword.md prints for it.
///
/// # Panics
/// Panics if it does not build.
pub fn static_program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let page = std::fs::read_to_string(workspace().join("docs/checkpassword.md")).expect("the page");
        let line = page.lines().find(|line| line.contains("RUSTFLAGS=")).expect("the line").trim_start();
        let target = target();
        run(Command::new("sh").args(["-ec", line]).current_dir(workspace()).env("CARGO_TARGET_DIR", &target));
        let triple = line.split(" --target ").nth(1).expect("a target");
        target.join(triple.trim_end()).join("release")
    });
    folder.join(name)
}

/// Cargo builds a package's programs for the tests of that package only, and these are tests of another one.
fn build() -> PathBuf {
    let folder = own_folder();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--bins", "--lib", "--examples", "--package=mailauth-courier"]);
    cargo.args([
        "--package=mailauth-admin",
        "--package=mailauth-mailboxes",
        "--package=mailauth-pop3",
        "--package=mailauth-exim",
    ]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    run(cargo.current_dir(workspace()).env("CARGO_TARGET_DIR", target()));
    folder
}

/// Where cargo has put what is running now: .../target/debug of .../target/debug/deps/test-0123456789abcdef.
fn own_folder() -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test");
    own.ancestors().nth(2).expect("a folder of build results").to_owned()
}

fn target() -> PathBuf {
    own_folder().parent().expect("the target folder").to_owned()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}
