//! Columns that are on or off, as options of the command line and as values in CSV.

/// Returns the value of two opposite options; `None` if neither is given.
pub fn from_options(on: bool, off: bool) -> Option<bool> {
    (on || off).then_some(on)
}

/// Parses a value in the words of databases and spreadsheets. An empty value is on.
pub fn parse(value: &[u8]) -> Result<bool, String> {
    parse_or(value, true)
}

/// Parses such a value, of which an empty one means `default`.
pub fn parse_or(value: &[u8], default: bool) -> Result<bool, String> {
    let value = std::str::from_utf8(value).map_or(value, |text| text.trim().as_bytes());
    match value.to_ascii_lowercase().as_slice() {
        b"" => Ok(default),
        b"yes" | b"y" | b"true" | b"t" | b"1" | b"on" => Ok(true),
        b"no" | b"n" | b"false" | b"f" | b"0" | b"off" => Ok(false),
        _ => Err("write yes or no".to_owned()),
    }
}
