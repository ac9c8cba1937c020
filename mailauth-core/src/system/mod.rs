//! Files, folders, users and processes of the operating system.

pub mod credentials;
pub mod environment;
pub mod home;
pub mod lock_file;
pub mod notify;
pub mod parents;
pub mod poller;
pub mod printable;
pub mod privileges;
pub mod process_memory;
pub mod stack;
pub mod system_ids;
pub mod trusted_path;
