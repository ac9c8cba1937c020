//! Parameters and values in the types of PostgreSQL.

use crate::store::driver::{Cell, Param, Row};
use bytes::BytesMut;
use std::error::Error;
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

pub(super) fn references<'a>(params: &'a [Param<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

impl Row for tokio_postgres::Row {
    fn cell(&self, index: usize) -> Cell<'_> {
        self.try_get(index).unwrap_or(Cell::Other)
    }
}

/// Text is sent as its bytes, whatever type the server expects; numbers in the width of the expected type.
impl ToSql for Param<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match *self {
            Param::Null => return Ok(IsNull::Yes),
            Param::Text(bytes) => out.extend_from_slice(bytes),
            Param::Int(number) => match *wanted {
                Type::INT2 => out.extend_from_slice(&i16::try_from(number)?.to_be_bytes()),
                Type::INT4 => out.extend_from_slice(&i32::try_from(number)?.to_be_bytes()),
                Type::INT8 => out.extend_from_slice(&number.to_be_bytes()),
                Type::BOOL => out.extend_from_slice(&[u8::from(number != 0)]),
                _ => out.extend_from_slice(number.to_string().as_bytes()),
            },
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl std::fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The value may be a password.
        f.write_str("Param(..)")
    }
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match (of, raw) {
            (&Type::BOOL, [truth]) => Cell::Int((*truth).into()),
            (&Type::INT2, &[a, b]) => Cell::Int(i16::from_be_bytes([a, b]).into()),
            (&Type::INT4, &[a, b, c, d]) => Cell::Int(i32::from_be_bytes([a, b, c, d]).into()),
            (&Type::INT8, raw) => raw.try_into().map_or(Cell::Other, |raw| Cell::Int(i64::from_be_bytes(raw))),
            (&(Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::BYTEA | Type::UNKNOWN), raw) => {
                Cell::Text(raw)
            }
            (of, raw) => match of.kind() {
                Kind::Domain(inner) => Cell::from_sql(inner, raw)?,
                Kind::Enum(_) => Cell::Text(raw),
                _ if of.name() == "citext" => Cell::Text(raw),
                _ => Cell::Other,
            },
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
