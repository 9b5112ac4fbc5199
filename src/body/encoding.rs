//! Content encodings of compressed responses.
//!
//! A response is compressed only if its request asks for that, which requests of the rotation layer do not. A
//! response that is compressed all the same is decoded to be classified (feature `decompress`): up to a cap, and as
//! far as it can be decoded, because its beginning is often enough.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// The result of decoding.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// The decoded text, or the part of it that could be decoded.
    pub(crate) text: Vec<u8>,
    /// Whether the body was decoded to its end.
    pub(crate) is_whole: bool,
}

/// Returns whether a body can be read without decoding.
pub(crate) fn is_identity(headers: &HeaderMap) -> bool {
    !headers.contains_key(CONTENT_ENCODING) || codings(headers).next().is_none()
}

/// Iterates over the codings of a body in the order they were applied. A header that is not text is `unknown`.
fn codings(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(CONTENT_ENCODING).iter().map(|list| list.to_str().unwrap_or("unknown"));
    let named = lists.flat_map(|list| list.split(',')).map(str::trim);
    named.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

#[cfg(not(feature = "decompress"))]
pub(crate) const fn decode(_: &HeaderMap, _: &[u8]) -> Decoded {
    Decoded { text: Vec::new(), is_whole: false }
}

#[cfg(feature = "decompress")]
pub(crate) use crate::body::encoding::decoding::decode;

#[cfg(feature = "decompress")]
mod decoding {
    use std::io::{self, Read};

    use flate2::bufread::{DeflateDecoder, ZlibDecoder};
    use flate2::read::MultiGzDecoder;
    use http::HeaderMap;

    use crate::body::encoding::{Decoded, codings};

    /// Maximum number of bytes of decoded text (1 MiB).
    const CAP: usize = 1024 * 1024;

    /// Maximum window of zstd, in bytes (8 MiB), as RFC 9659 requires for HTTP. A larger window is not decoded.
    const WINDOW: u64 = 8 * 1024 * 1024;

    /// Maximum number of codings that are applied to each other (3).
    const LAYERS: usize = 3;

    /// Decodes gzip, deflate, br and zstd.
    pub(crate) fn decode(headers: &HeaderMap, data: &[u8]) -> Decoded {
        let codings: Vec<_> = codings(headers).collect();
        let mut decoded = Decoded { text: data.to_vec(), is_whole: true };
        if codings.len() > LAYERS {
            return Decoded::default();
        }
        for coding in codings.iter().rev() {
            let Some(next) = undo(coding, &decoded.text) else { return Decoded::default() };
            decoded = Decoded { is_whole: next.is_whole && decoded.is_whole, ..next };
        }
        decoded
    }

    /// Undoes one coding. `None` if the coding is not known. Data with anything behind their end are not whole: other
    /// readers may go on there.
    fn undo(coding: &str, data: &[u8]) -> Option<Decoded> {
        let is = |name: &str| coding.eq_ignore_ascii_case(name);
        if is("gzip") || is("x-gzip") {
            return Some(read(MultiGzDecoder::new(data)));
        }
        if is("deflate") {
            // Some servers leave out the zlib wrapper that the name stands for.
            let mut decoder = ZlibDecoder::new(data);
            let wrapped = read(&mut decoder).followed_by(decoder.into_inner());
            if wrapped.is_whole || !wrapped.text.is_empty() {
                return Some(wrapped);
            }
            let mut decoder = DeflateDecoder::new(data);
            return Some(read(&mut decoder).followed_by(decoder.into_inner()));
        }
        if is("br") {
            // A buffer of one byte takes nothing behind the end.
            let mut decoder = brotli_decompressor::Decompressor::new(data, 1);
            return Some(read(&mut decoder).followed_by(decoder.into_inner()));
        }
        if is("zstd") {
            return Some(zstd(data));
        }
        None
    }

    fn zstd(mut data: &[u8]) -> Decoded {
        match ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&mut data, WINDOW) {
            Ok(decoder) => read(decoder).followed_by(data),
            Err(_) => Decoded::default(),
        }
    }

    impl Decoded {
        fn followed_by(mut self, rest: &[u8]) -> Self {
            self.is_whole &= rest.is_empty();
            self
        }
    }

    /// Reads to the end, the cap or the first error.
    fn read(decoder: impl Read) -> Decoded {
        let mut text = Vec::new();
        let ended: io::Result<usize> = decoder.take(CAP as u64 + 1).read_to_end(&mut text);
        let is_whole = ended.is_ok() && text.len() <= CAP;
        text.truncate(CAP);
        Decoded { text, is_whole }
    }

    #[cfg(test)]
    mod tests {
        use std::io::Write;

        use flate2::Compression;
        use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
        use http::header::CONTENT_ENCODING;

        use super::*;

        const TEXT: &[u8] = br#"{"error":{"message":"no","code":429}}"#;

        fn decoded(coding: &'static str, data: &[u8]) -> Decoded {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, http::HeaderValue::from_static(coding));
            decode(&headers, data)
        }

        fn gzip(text: &[u8]) -> Vec<u8> {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }

        fn all() -> Vec<(&'static str, Vec<u8>)> {
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
            zlib.write_all(TEXT).unwrap();
            let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
            bare.write_all(TEXT).unwrap();
            let zstd = ruzstd::encoding::compress_to_vec(TEXT, ruzstd::encoding::CompressionLevel::Fastest);
            vec![
                ("gzip", gzip(TEXT)),
                ("X-GZIP", gzip(TEXT)),
                ("identity, gzip", gzip(TEXT)),
                ("gzip, gzip", gzip(&gzip(TEXT))),
                ("deflate", zlib.finish().unwrap()),
                ("deflate", bare.finish().unwrap()),
                ("br", brotli(TEXT)),
                ("zstd", zstd),
            ]
        }

        #[test]
        fn each_coding_is_undone() {
            for (coding, data) in all() {
                let decoded = decoded(coding, &data);
                assert_eq!((&*decoded.text, decoded.is_whole), (TEXT, true), "{coding}");
            }
        }

        /// A stream of one uncompressed block: RFC 7932, section 9.
        fn brotli(text: &[u8]) -> Vec<u8> {
            let length = text.len() as u32 - 1;
            // Window of 64 KiB (0), not the last block (0), length in four nibbles (00), uncompressed (1).
            let bits = (length << 4) | (1 << 20);
            let mut data = bits.to_le_bytes()[..3].to_vec();
            data.extend_from_slice(text);
            // The last block (1), which is empty (1).
            data.push(0b11);
            data
        }

        #[test]
        fn what_is_cut_or_unknown_is_not_whole() {
            let data = gzip(&TEXT.repeat(100));
            let cut = decoded("gzip", &data[..data.len() - 9]);
            assert!(!cut.is_whole && cut.text.starts_with(b"{\"error\""));
            for coding in ["compress", "x", "gzip, x", "gzip,gzip,gzip,gzip"] {
                assert!(!decoded(coding, &data).is_whole, "{coding}");
            }
        }

        #[test]
        fn what_is_followed_by_anything_is_not_whole() {
            for (coding, data) in all() {
                for rest in [&b"x"[..], &data] {
                    let is_two = coding.to_ascii_lowercase().ends_with("gzip") && rest.len() > 1;
                    let followed = decoded(coding, &[&data, rest].concat());
                    assert_eq!(followed.is_whole, is_two, "{coding}");
                }
            }
        }

        #[test]
        fn a_bomb_is_read_up_to_the_cap() {
            let bomb = decoded("gzip", &gzip(&vec![0; 64 * 1024 * 1024]));
            assert_eq!((bomb.text.len(), bomb.is_whole), (CAP, false));
        }
    }
}
