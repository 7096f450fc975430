//! What a caller can do wrong.

use std::fmt;
use std::io;

/// Nothing has changed when one of these is returned.
#[derive(Debug)]
pub enum Error {
    /// Something named was not introduced before.
    Unknown(String),
    /// Introduced twice, or out of range.
    Invalid(String),
    /// Not now: running, or closed.
    State(&'static str),
    Os(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unknown(text) | Error::Invalid(text) => f.write_str(text),
            Error::State(text) => f.write_str(text),
            Error::Os(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Os(error)
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// `value` if it is at most `maximum`.
pub fn in_range(what: &str, value: u64, maximum: u64) -> Result<u64> {
    if value <= maximum {
        Ok(value)
    } else {
        Err(Error::Invalid(format!("{what} {value}: 0 to {maximum} are possible")))
    }
}
