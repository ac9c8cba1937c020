//! Links the object so that opening it is cheap: every SMTP connection does so once.
//!
//! Rust's standard library wants the unwinder from libgcc_s.so.1, which takes longer to find and open than all the rest.
//! The same unwinder is in an archive of the compiler's. Under the name of the shared library the linker finds a script of
//! ours, which names the archive.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() != Ok("gnu") {
        return;
    }
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n").expect("a file in OUT_DIR");
    println!("cargo:rustc-cdylib-link-arg=-L{}", folder.display());
}
