//! Our own programs, as cargo has built them.

use crate::process::run;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of a program of this workspace, built from what stands in it now.
///
/// `MAILAUTH_PROGRAMS` may name a folder with other builds to test.
///
/// # Panics
/// When it does not build.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| match std::env::var_os("MAILAUTH_PROGRAMS") {
        Some(folder) => folder.into(),
        None => build(),
    });
    folder.join(name)
}

/// The path of a library of this workspace, beside the programs.
///
/// # Panics
/// As [`program`].
pub fn library(name: &str) -> PathBuf {
    program(name)
}

/// Cargo builds a package's programs for the tests of that package only, and these are tests of another one.
fn build() -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test");
    // .../target/debug/deps/test-0123456789abcdef
    let folder = own.ancestors().nth(2).expect("a folder of build results");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--bins", "--lib", "--package=mailauth-courier"]);
    cargo.args(["--package=mailauth-admin", "--package=mailauth-pop3", "--package=mailauth-exim"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    run(cargo.current_dir(root).env("CARGO_TARGET_DIR", folder.parent().expect("the target folder")));
    folder.to_owned()
}
