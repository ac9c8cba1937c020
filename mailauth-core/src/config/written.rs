//! The values of a configuration as they are written in its file.

use super::{DatabaseUrl, MetricsAddress};
use crate::Service;
use crate::detail::Delimiters;
use crate::model::limits::Limits;
use crate::password::{DefaultScheme, NewScheme};
use crate::policy::RefusalTime;
use crate::schema::Setting;
use crate::throttle::NetworkRange;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Value;

/// A type of values of a configuration.
pub(super) trait Written {
    /// Returns the value; `None` if the key is not set and has no default.
    fn written(&self) -> Option<Value>;
}

/// Implements the trait for types that are written as texts.
macro_rules! texts {
    ($($type:ty: $text:expr),* $(,)?) => {
        $(impl Written for $type {
            fn written(&self) -> Option<Value> {
                let text: fn(&$type) -> String = $text;
                Some(Value::String(text(self)))
            }
        })*
    };
}

texts!(
    String: String::clone,
    PathBuf: |path| path.to_string_lossy().into_owned(),
    Duration: |duration| super::value::written(*duration),
    DatabaseUrl: ToString::to_string,
    MetricsAddress: ToString::to_string,
    Service: ToString::to_string,
    Limits: |limits| if *limits == Limits::NONE { "none".to_owned() } else { limits.to_string() },
    NetworkRange: ToString::to_string,
    Delimiters: |delimiters| delimiters.as_str().to_owned(),
    NewScheme: |scheme| scheme.name().to_owned(),
    DefaultScheme: |scheme| scheme.name(),
);

/// Implements the trait for numbers.
macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl Written for $type {
            fn written(&self) -> Option<Value> {
                // Every number of a configuration is far below the limit.
                Some(Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
            }
        })*
    };
}

numbers!(u8, u32, u64, usize);

impl Written for bool {
    fn written(&self) -> Option<Value> {
        Some(Value::Boolean(*self))
    }
}

impl Written for RefusalTime {
    fn written(&self) -> Option<Value> {
        match self {
            RefusalTime::Auto => Some(Value::String("auto".to_owned())),
            RefusalTime::Fixed(duration) => duration.written(),
        }
    }
}

impl<T: Written> Written for Option<T> {
    fn written(&self) -> Option<Value> {
        self.as_ref().and_then(T::written)
    }
}

impl<T: Written> Written for Vec<T> {
    fn written(&self) -> Option<Value> {
        Some(Value::Array(self.iter().filter_map(T::written).collect()))
    }
}

impl Written for Setting {
    fn written(&self) -> Option<Value> {
        match self {
            Setting::Flag(flag) => flag.written(),
            Setting::Number(number) => number.written(),
            Setting::Text(text) => text.written(),
            Setting::List(list) => list.written(),
        }
    }
}

/// Returns a number of bytes in the largest unit in which it is a whole number.
pub(super) fn size(bytes: u64) -> Option<Value> {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    match units.into_iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift)) {
        Some((shift, unit)) => Some(Value::String(format!("{}{unit}", bytes >> shift))),
        None => bytes.written(),
    }
}

/// Returns permission bits.
pub(super) fn mode(mode: u32) -> Option<Value> {
    Some(Value::String(format!("{mode:04o}")))
}

/// Returns the path of a socket, or an empty text if there is none.
pub(super) fn path_or_none(path: Option<&Path>) -> Option<Value> {
    Some(Value::String(path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()))
}

/// Returns the word for a value.
pub(super) fn word<T: PartialEq>(words: &[(&str, T)], value: &T) -> Option<Value> {
    words.iter().find(|(_, meaning)| meaning == value).map(|(word, _)| Value::String((*word).to_owned()))
}
