//! A body's content coding, undone within a limit.

use std::borrow::Cow;
use std::io::{self, Read};

/// The codings that senders may use, for error texts and `Accept-Encoding`.
pub const ACCEPTED: &str = "gzip, zstd, deflate, identity";

/// A zstd frame may ask for a window of 2^24 bytes at the most: as much as the largest body.
const ZSTD_WINDOW_LOG: u32 = 24;

/// Why a body could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A coding that is not supported, or several at once.
    #[error("the content encoding `{0}` is not supported; use one of {ACCEPTED}")]
    Unsupported(String),
    /// The bytes are not what the header says.
    #[error("the body is not valid {coding}: {error}")]
    Corrupt {
        /// The coding of the header.
        coding: &'static str,
        /// The decoder's words.
        error: io::Error,
    },
    /// More than the limit, before or after decoding.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
}

/// Decodes a body. At most `limit` bytes go in and come out, whatever the header promises.
pub fn decode<'a>(body: &'a [u8], content_encoding: Option<&str>, limit: usize) -> Result<Cow<'a, [u8]>, DecodeError> {
    if body.len() > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    let header = content_encoding.unwrap_or_default();
    let mut codings = header.split(',').map(|coding| coding.trim().to_ascii_lowercase());
    let mut codings = codings.by_ref().filter(|coding| !coding.is_empty() && coding != "identity");
    let (coding, more) = (codings.next(), codings.next());
    match (coding.as_deref(), more) {
        (None, _) => Ok(Cow::Borrowed(body)),
        (Some("gzip" | "x-gzip"), None) => read_all("gzip", flate2::read::MultiGzDecoder::new(body), limit),
        (Some("deflate"), None) => read_all("deflate", flate2::read::ZlibDecoder::new(body), limit),
        (Some("zstd"), None) => read_all("zstd", zstd_reader(body)?, limit),
        _ => Err(DecodeError::Unsupported(header.chars().take(100).collect())),
    }
}

fn zstd_reader(body: &[u8]) -> Result<impl Read, DecodeError> {
    let corrupt = |error| DecodeError::Corrupt { coding: "zstd", error };
    let mut reader = zstd::stream::read::Decoder::with_buffer(body).map_err(corrupt)?;
    reader.window_log_max(ZSTD_WINDOW_LOG).map_err(corrupt)?;
    Ok(reader)
}

fn read_all(coding: &'static str, reader: impl Read, limit: usize) -> Result<Cow<'static, [u8]>, DecodeError> {
    let mut decoded = Vec::new();
    let stop_after = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(stop_after).read_to_end(&mut decoded).map_err(|error| DecodeError::Corrupt { coding, error })?;
    if decoded.len() > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    Ok(Cow::Owned(decoded))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_accepted_coding_is_undone() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(b"hello").unwrap();
        let cases = [
            (None, b"hello".to_vec()),
            (Some("identity"), b"hello".to_vec()),
            (Some("GZIP"), gzip(b"hello")),
            (Some("gzip, identity"), gzip(b"hello")),
            (Some("gzip"), [gzip(b"hel"), gzip(b"lo")].concat()),
            (Some("deflate"), zlib.finish().unwrap()),
            (Some("zstd"), zstd::encode_all(&b"hello"[..], 1).unwrap()),
        ];
        for (coding, body) in cases {
            assert_eq!(decode(&body, coding, 1000).unwrap().as_ref(), b"hello", "{coding:?}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let zeros = vec![0; 1 << 20];
        for (coding, bomb) in [("gzip", gzip(&zeros)), ("zstd", zstd::encode_all(&zeros[..], 1).unwrap())] {
            assert!(bomb.len() < 5000);
            assert!(matches!(decode(&bomb, Some(coding), 65_536), Err(DecodeError::TooLarge { limit: 65_536 })));
        }
    }

    #[test]
    fn other_codings_and_stacked_ones_are_refused_by_name() {
        for coding in ["br", "snappy", "gzip, zstd"] {
            let text = decode(b"x", Some(coding), 10).unwrap_err().to_string();
            assert!(text.contains(coding) && text.contains("zstd"), "{text}");
        }
    }

    #[test]
    fn a_cut_body_is_corrupt_and_not_silently_short() {
        let whole = gzip(&b"hello world ".repeat(100));
        assert!(matches!(decode(&whole[..whole.len() - 9], Some("gzip"), 10_000), Err(DecodeError::Corrupt { .. })));
        let whole = zstd::encode_all(&b"hello world"[..], 1).unwrap();
        assert!(matches!(decode(&whole[..whole.len() - 3], Some("zstd"), 10_000), Err(DecodeError::Corrupt { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_err(bytes in proptest::collection::vec(any::<u8>(), 0..200), coding in "gzip|zstd|deflate|br|") {
            if let Ok(decoded) = decode(&bytes, Some(&coding), 300) {
                prop_assert!(decoded.len() <= 300);
            }
        }
    }
}
