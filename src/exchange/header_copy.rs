//! A copy of headers in a single allocation.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers as text, one line for each value, in order.
///
/// A clone of a header map takes several allocations, and one reference count for each name and value. The text
/// takes one allocation. It is parsed only where headers are needed again.
pub(super) struct HeaderCopy(Vec<u8>);

/// Separator between a name and a value. No name contains it.
const PLAIN: u8 = b':';

/// Separator before a value that is marked as sensitive. No name contains it.
const SENSITIVE: u8 = b'=';

/// End of a line. No value contains it.
const END: u8 = b'\n';

/// Bytes that are reserved for each line. Most lines are shorter.
const LINE: usize = 64;

// === impl HeaderCopy ===

impl HeaderCopy {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let mut text = Vec::with_capacity(headers.len() * LINE);
        for (name, value) in headers {
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(if value.is_sensitive() { SENSITIVE } else { PLAIN });
            text.extend_from_slice(value.as_bytes());
            text.push(END);
        }
        Self(text)
    }

    /// Iterates over the values of a header.
    pub(super) fn get_all(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        self.lines().filter(|(own, ..)| *own == name.as_str().as_bytes()).map(|(_, _, value)| value)
    }

    pub(super) fn to_map(&self) -> HeaderMap {
        let header = |(name, separator, value)| {
            let mut value = HeaderValue::from_bytes(value).ok()?;
            value.set_sensitive(separator == SENSITIVE);
            Some((HeaderName::from_bytes(name).ok()?, value))
        };
        self.lines().filter_map(header).collect()
    }

    /// Iterates over names, separators and values.
    fn lines(&self) -> impl Iterator<Item = (&[u8], u8, &[u8])> {
        self.0.split(|byte| *byte == END).filter_map(|line| {
            let at = line.iter().position(|byte| matches!(*byte, PLAIN | SENSITIVE))?;
            Some((&line[..at], line[at], &line[at + 1..]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_gives_the_headers_back_as_they_were() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-one", &b"1"[..]), ("x-two", b""), ("x-one", b"a: b=c\t\xff"), ("x-:-=", b"")]
        {
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                headers.append(name, HeaderValue::from_bytes(value).unwrap());
            }
        }
        headers.entry("cookie").or_insert(HeaderValue::from_static("c=1")).set_sensitive(true);
        let copy = HeaderCopy::new(&headers);
        let map = copy.to_map();
        assert_eq!(map, headers);
        assert!(map["cookie"].is_sensitive() && !map["x-one"].is_sensitive());
        let all: Vec<_> = copy.get_all(&HeaderName::from_static("x-one")).collect();
        assert_eq!(all, [&b"1"[..], b"a: b=c\t\xff"]);
        assert_eq!(copy.get_all(&HeaderName::from_static("x")).count(), 0);
    }
}
