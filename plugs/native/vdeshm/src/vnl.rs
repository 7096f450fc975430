//! The address of `vdeshm://ADDRESS`: `PATH[PORT]`, `PATH[port=N/group=G/mode=M]`, as `vde://` has it; and `ring=OCTETS`,
//! the wanted size of one ring (`1M`; the switch chooses without).
//!
//! `group` and `mode` are of use to data sockets, which there are none of here: they are read and have no effect.
//! Quoting: `\x` and `%hh`. What is wrong is said, in words.

use frame_ring::Layout;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// None: the default switch.
    pub path: Option<PathBuf>,
    pub port: Option<u32>,
    /// Wanted of a ring; 0: the listener's choice.
    pub ring_octets: u32,
}

/// Highest number that fits a request.
pub const PORT_MAX: u32 = (1 << 24) - 1;

pub fn parse(text: &[u8]) -> Result<Address, String> {
    let (path, options) = cut(text)?;
    let (mut port, mut ring_octets) = (None, 0);
    for option in options.iter().filter(|option| !option.is_empty()) {
        let text = String::from_utf8_lossy(option);
        let (name, value) = text.split_once('=').unwrap_or(("port", &text));
        match name {
            "port" => port = Some(number(value)?),
            "ring" => ring_octets = octets(value)?,
            "group" | "mode" => {}
            _ => return Err(format!("the option {name:?} is unknown: port, group, mode and ring are possible")),
        }
    }
    let path = (!path.is_empty()).then(|| PathBuf::from(OsString::from_vec(path)));
    Ok(Address { path, port, ring_octets })
}

/// A size, which may end in `k` or `M`.
fn octets(text: &str) -> Result<u32, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        _ => (text, 0),
    };
    let value = digits.parse::<u32>().ok().filter(|&number| number <= Layout::RING_OCTETS_MAX >> shift);
    let wanted = || format!("ring {text:?}: a size of at most {} octets was expected", Layout::RING_OCTETS_MAX);
    value.map(|number| number << shift).ok_or_else(wanted)
}

fn number(text: &str) -> Result<u32, String> {
    let value = text.parse().ok().filter(|port| *port <= PORT_MAX);
    value.ok_or_else(|| format!("port {text:?}: a number of 0 to {PORT_MAX} was expected"))
}

/// The path, and the options in brackets.
fn cut(text: &[u8]) -> Result<(Vec<u8>, Vec<Vec<u8>>), String> {
    let mut path = Vec::new();
    let mut options: Vec<Vec<u8>> = Vec::new();
    let mut in_brackets = false;
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        let plain = match octet {
            b'\\' => {
                let Some((&quoted, after)) = rest.split_first() else {
                    return Err("nothing follows '\\'".to_owned());
                };
                rest = after;
                (quoted, false)
            }
            b'%' if hex(rest).is_some() => {
                let quoted = hex(rest).unwrap_or_default();
                rest = &rest[2..];
                (quoted, false)
            }
            _ => (octet, true),
        };
        match (in_brackets, plain) {
            (false, (b'[', true)) => {
                in_brackets = true;
                options.push(Vec::new());
            }
            (true, (b']', true)) if rest.is_empty() => return Ok((path, options)),
            (true, (b'/', true)) => options.push(Vec::new()),
            (false, (octet, _)) => path.push(octet),
            (true, (octet, _)) => {
                if let Some(option) = options.last_mut() {
                    option.push(octet);
                }
            }
        }
    }
    if in_brackets { Err("the bracket [ is not closed".to_owned()) } else { Ok((path, options)) }
}

/// Two hexadecimal digits, not 00.
fn hex(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(..2)?).ok()?;
    let both = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|&octet| both && octet != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(path: &str, port: Option<u32>) -> Result<Address, String> {
        Ok(Address { path: (!path.is_empty()).then(|| PathBuf::from(path)), port, ring_octets: 0 })
    }

    #[test]
    fn addresses_are_read_as_those_of_vde() {
        assert_eq!(parse(b"/run/sw"), address("/run/sw", None));
        assert_eq!(parse(b"/run/sw[3]"), address("/run/sw", Some(3)));
        assert_eq!(parse(b"/run/sw[]"), address("/run/sw", None));
        assert_eq!(parse(b"/run/sw[port=3/mode=0660/group=x]"), address("/run/sw", Some(3)));
        assert_eq!(parse(b"[7]"), address("", Some(7)));
        assert_eq!(parse(b""), address("", None));
        assert_eq!(parse(b"/a\\[b%5d"), address("/a[b]", None));
    }

    #[test]
    fn a_ring_has_a_size() {
        let sizes = [("1M", 1 << 20), ("64k", 1 << 16), ("4096", 4096), ("16M", 1 << 24), ("0", 0)];
        for (text, octets) in sizes {
            let found = parse(format!("/run/sw[ring={text}/port=2]").as_bytes());
            assert_eq!(found.map(|found| (found.ring_octets, found.port)), Ok((octets, Some(2))), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            ("/run/sw[3", "closed"),
            ("/run/sw[x=3]", "unknown"),
            ("/run/sw[port=y]", "number"),
            ("/run/sw[ring=17M]", "at most"),
            ("/run/sw[ring=M]", "at most"),
            ("/run/sw[ring=]", "at most"),
            ("/run/sw[ring=4096M]", "at most"),
            ("/run/sw[ring=-1]", "at most"),
            ("/run/sw[16777216]", "number"),
            ("/run/sw\\", "follows"),
        ] {
            assert!(parse(text.as_bytes()).unwrap_err().contains(word), "{text}");
        }
    }
}
