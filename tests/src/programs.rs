//! The programs of this workspace, as built by cargo.

use crate::process::run;
use crate::scratch::User;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the path of a program of this workspace, built from its current state.
///
/// `MAILAUTH_PROGRAMS` may name a folder with other builds to test.
///
/// # Panics
/// Panics if the build fails.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| match std::env::var_os("MAILAUTH_PROGRAMS") {
        Some(folder) => folder.into(),
        None => build(),
    });
    folder.join(name)
}

/// Returns a command that runs a program of this workspace as a user with no other groups than its own.
///
/// # Panics
/// Panics as [`program`] does.
pub fn program_as(user: User, name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--clear-groups".into(), format!("--reuid={}", user.uid), format!("--regid={}", user.gid)]);
    command.arg(program(name));
    command
}

/// Returns the path of a library of this workspace.
///
/// # Panics
/// Panics as [`program`] does.
pub fn library(name: &str) -> PathBuf {
    program(name)
}

/// Returns the path of a checkpassword program in the static build, built by the command printed in
/// docs/checkpassword.md.
///
/// # Panics
/// Panics if the build fails.
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

/// Builds the programs. For tests, cargo builds only the programs of their own package, and these tests are in another
/// one.
fn build() -> PathBuf {
    let folder = own_folder();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--bins", "--lib", "--examples", "--package=mailauth-courier"]);
    cargo.args([
        "--package=mailauth-admin",
        "--package=mailauth-mailboxes",
        "--package=mailauth-pop3",
        "--package=mailauth-exim",
        "--package=mailauth-manual",
    ]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    // cargo describes the package of the running test by variables. The build script of ring would be run again for other
    // values, and with it everything that uses it would be compiled again.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_package(name)) {
        cargo.env_remove(name);
    }
    run(cargo.current_dir(workspace()).env("CARGO_TARGET_DIR", target()));
    folder
}

/// Returns true for the variables by which cargo describes a package.
fn is_of_package(name: &OsStr) -> bool {
    ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

/// Returns the folder in which cargo has put the running test: .../target/debug of
/// .../target/debug/deps/test-0123456789abcdef.
fn own_folder() -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test");
    own.ancestors().nth(2).expect("a folder of build results").to_owned()
}

fn target() -> PathBuf {
    own_folder().parent().expect("the target folder").to_owned()
}

/// Returns the folder of this repository.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}
