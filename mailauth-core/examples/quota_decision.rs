//! Decides whether messages fit into a Maildir that may hold 1,000 bytes and holds 600.
//!
//! ```text
//! cargo run -p mailauth-core --example quota_decision
//! ```

use mailauth_core::quota::{CountRules, Denied, Limits, MaildirQuota};
use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for part in ["cur", "new", "tmp"] {
        fs::create_dir(folder.path().join(part))?;
    }
    fs::write(folder.path().join("new/1700000000.M1P1.mail"), [b'x'; 600])?;

    let limits = Limits::parse("1000S")?;
    let mailbox = MaildirQuota::open(folder.path(), limits, CountRules::default())?;
    println!("the mailbox holds {} bytes", mailbox.usage()?.bytes);
    for size in [300, 500] {
        match mailbox.precheck(size) {
            Ok(()) => println!("a message of {size} bytes fits"),
            // The mailbox cannot be read, for example. The message has to be deferred, and must not bounce.
            Err(Denied::Unknown(error)) => println!("a message of {size} bytes has to wait: {error}"),
            Err(over) => println!("a message of {size} bytes does not fit: {over}"),
        }
    }
    Ok(())
}
