//! Links the object so that it is cheap to open, which every SMTP connection does once.
//!
//! Rust's standard library needs the unwinder from libgcc_s.so.1, which takes longer to find and open than everything
//! else. The compiler also has the same unwinder in an archive. Under the name of the shared library, the linker finds a
//! script that is written here and names the archive.

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
