//! The server: many clients, of which any may be slow or hostile, and an answer for each that asks properly.
//!
//! Reading requests, looking accounts up, hashing passwords, changing them and listing accounts are done by different
//! threads, so that none waits for another kind. How they hang together:
//!
//! ```text
//! door (accept, read once) --whole request--> answered there; by lane "look-ups" when all at the door are stuck
//!      |
//!      +--not whole yet--> reader (one thread) --whole request--> lane "look-ups"
//!
//! an answer that needs hashing   --> lane "hashing", accounts by turns, those that logged in not long ago first
//! PASSWD                         --> lane "changes"
//! ASK recipient                  --> lane "recipients"; lane "counts" where a mailbox takes long to count
//! ENUMERATE, an answer half sent --> outbox (one thread); pages of accounts are read by lane "pages"
//! a refused login                --> held (one thread), until the time at which refusals are sent
//!
//! GET /metrics, on a socket of its own --> metrics (one thread)
//! ```

mod accept;
mod daemon;
mod io;
mod live_config;
mod observe;
pub mod process;
mod work;

pub use accept::listener::{BindError, Listener};
pub use daemon::{Listeners, Running, Settings, StartError, start};
pub use observe::metrics::{MetricsError, MetricsListener};
pub use process::identity::{IdentityError, become_user};
pub use work::stdio::answer_one;
