//! The daemon on the authdaemon socket: it serves many clients, any of which may be slow or hostile, and answers each
//! request that is well-formed.
//!
//! Requests are read, accounts looked up, passwords hashed and changed, and accounts listed by different threads, so
//! that no kind of work waits for another:
//!
//! ```text
//! acceptor (a few threads)    accepts a connection and reads once
//!   complete request -------> answers it itself; while all threads that accept are blocked, see (*)
//!   incomplete request -----> slow reader (one thread) --complete request--> (*)
//!
//! (*) in memory ------------> answered at once
//!     otherwise ------------> queue "look-ups"
//!
//! password to be hashed ----> queue "hashing": accounts in turn, recently successful logins first
//! PASSWD -------------------> queue "changes"
//! ASK recipient ------------> queue "recipients"; queue "counts" if the mailbox takes long to count
//! ENUMERATE, long answers --> slow writer (one thread); the queue "pages" reads pages of accounts
//! refused login ------------> delayed replies (one thread), until the time at which refusals are sent
//!
//! conversations (a few threads), on sockets of their own: Dovecot's and Postfix's protocols on kept connections
//!   line of a request ------> (*)
//!
//! GET /metrics -------------> metrics (one thread), on a socket of its own
//! ```
//!
//! The modules follow the way of a request: `accept` takes connections, `io` reads and writes without waiting, `work`
//! finds the answer. `observe` is the status and the metrics, `process` the signals, the user and the sandbox.

mod accept;
mod daemon;
mod io;
mod kept_sockets;
mod live_config;
mod observe;
pub mod options;
pub mod process;
mod settings;
mod shared;
mod work;

pub use accept::listener::{BindError, Listener};
pub use accept::passed::{UnusableSockets, receive as receive_sockets, unused as unused_sockets};
pub use daemon::{Daemon, Listeners, StartError};
pub use observe::metrics::{MetricsError, MetricsListener};
pub use process::identity::{IdentityError, become_user};
pub use settings::Settings;
pub use work::stdio::serve_stdio;
