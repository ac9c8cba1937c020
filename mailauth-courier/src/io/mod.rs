//! Reading from clients and writing to them without waiting for any of them.

pub(crate) mod connection;
pub(crate) mod read_buffer;
pub(crate) mod slow_reader;
pub(crate) mod slow_writer;
