//! The privileges of database users: what is missing, what is too wide, and the statements that correct it.

pub(in crate::store) mod denied;
#[cfg(feature = "mysql")]
pub(in crate::store) mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(in crate::store) mod plan;
#[cfg(feature = "postgres")]
pub(in crate::store) mod postgres;
