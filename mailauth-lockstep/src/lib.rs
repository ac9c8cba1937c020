//! Passwords that are verified at once on one processor.
//!
//! ```
//! use mailauth_lockstep::{Lockstep, sha512::{Sha512Lanes, Task, Unit}};
//!
//! let task = |password: &str| Task::Crypt {
//!     password: password.as_bytes().to_vec().into(),
//!     salt: b"saltsalt".to_vec().into(),
//!     rounds: 5000,
//! };
//! if let Some(unit) = Unit::detected() {
//!     let mut lanes = Sha512Lanes::new(unit);
//!     lanes.load(0, task("secret"));
//!     lanes.load(1, task("open sesame"));
//!     let finished = lanes.run();
//!     assert_eq!(finished.len(), 2, "both have as many rounds");
//!     assert_eq!(finished[0].digest.len(), 64);
//! }
//! ```
//!
//! A processor computes the hashes of several passwords in hardly more time than that of one: by vector instructions
//! (SHA-512), or by waiting for the memory accesses of all of them together (bcrypt). Each password has a *lane*, with a
//! salt, a length and a number of rounds of its own. A lane whose password is finished is loaded with the next one while
//! the others go on, so no password waits for a longer one.
//!
//! # Contract
//!
//! - The digest of a lane is the same, to the last bit, as that of the function for one password, whatever the other lanes
//!   hold.
//! - [`Lockstep::run`] does the same work for each lane until it is finished: nothing depends on whether the digest will
//!   match. The caller compares the digest in constant time.
//! - While [`Lockstep::run`] advances the lanes, it allocates nothing. The memory of a lane grows with the
//!   length of the password, which the caller bounds, and is known before ([`sha512::Task::memory`]).
//! - Everything that depends on a password is wiped when its lane ends, and when the whole is dropped. What is left on the
//!   stack is wiped by the caller.
//! - What this processor can do is detected at run time. A processor without the necessary instructions has no lanes
//!   ([`sha512::Unit::detected`]), and passwords are verified one after the other, as on every processor if only one
//!   waits.
//! - `unsafe` is only used to call functions that are compiled for instructions whose presence was checked.

pub mod bcrypt;
pub mod sha512;

use zeroize::Zeroizing;

/// Passwords that are verified beside each other, each in a lane.
pub trait Lockstep {
    /// What is needed to compute the digest of one password.
    type Task;

    /// Returns the number of lanes.
    fn lanes(&self) -> usize;

    /// Loads a lane. What it held before is dropped. `lane` is less than [`Lockstep::lanes`]; otherwise nothing is loaded.
    fn load(&mut self, lane: usize, task: Self::Task);

    /// Advances all loaded lanes until at least one is finished, and returns those that are. They are no longer loaded.
    /// Returns nothing if no lane is loaded.
    fn run(&mut self) -> Vec<Finished>;
}

/// A lane that is finished.
pub struct Finished {
    /// Number of the lane.
    pub lane: usize,
    /// The digest of its password, in the order of bytes of the function for one password.
    pub digest: Zeroizing<Vec<u8>>,
}
