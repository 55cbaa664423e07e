//! Content codings of answers.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Bodies up to this size are sent as they are: packing them saves less than a packet.
pub const WORTH_PACKING: usize = 1024;

/// Good for JSON at a few hundred MB/s; higher levels cost more time than they save on the wire.
const GZIP_LEVEL: u32 = 4;
const BROTLI_QUALITY: i32 = 4;

/// Coding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
}

impl Coding {
    /// Its name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// The body in this coding.
    ///
    /// # Errors
    /// None in practice: it writes to memory.
    pub fn encode(self, body: &Bytes) -> std::io::Result<Bytes> {
        match self {
            Self::Identity => Ok(body.clone()),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(GZIP_LEVEL));
                encoder.write_all(body)?;
                Ok(encoder.finish()?.into())
            }
            Self::Brotli => {
                let mut packed = Vec::with_capacity(body.len() / 4);
                let parameters = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: window(body.len()),
                    size_hint: body.len(),
                    mode: brotli::enc::backward_references::BrotliEncoderMode::BROTLI_MODE_TEXT,
                    ..Default::default()
                };
                brotli::BrotliCompress(&mut body.as_ref(), &mut packed, &parameters)?;
                Ok(packed.into())
            }
        }
    }
}

/// The least window that holds the body, between 2^16 and 2^22 bytes: a larger one only costs memory.
fn window(bytes: usize) -> i32 {
    let bits = usize::BITS - bytes.leading_zeros();
    i32::try_from(bits.clamp(16, 22)).unwrap_or(22)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_is_packed_can_be_unpacked_and_is_smaller() {
        for size in [0, 1, 1_500, 80_000, 700_000] {
            let body = Bytes::from("{\"title\":\"Moby-Dick\",\"price\":\"14.90\"},".repeat(size / 38 + 1).into_bytes());
            let (gzip, brotli) = (Coding::Gzip.encode(&body).unwrap(), Coding::Brotli.encode(&body).unwrap());
            let (mut a, mut b) = (Vec::new(), Vec::new());
            flate2::read::GzDecoder::new(gzip.as_ref()).read_to_end(&mut a).unwrap();
            brotli::BrotliDecompress(&mut brotli.as_ref(), &mut b).unwrap();
            assert!(a == body && b == body, "{size}");
            assert!(size < WORTH_PACKING || gzip.len().max(brotli.len()) < body.len() / 4, "{size}");
            assert_eq!(Coding::Identity.encode(&body).unwrap(), body);
        }
    }
}
