//! Content on its way in, held to its SHA-256: what breaks it ends in an error, before the store puts it in place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http_body_util::{BodyStream, StreamBody};
use hyper::body::{Body, Frame};
use sha2::{Digest as _, Sha256};

/// Whether the content broke its checksum.
#[derive(Clone, Default)]
pub(super) struct Broken(Arc<AtomicBool>);

impl Broken {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The body with a check at its end. `expected` is base64, as the header has it.
pub(super) fn checked<B>(body: B, expected: String) -> (s3s::Body, Broken)
where
    B: Body<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
{
    let broken = Broken::default();
    let frames = BodyStream::new(body).map(|frame| frame.map_err(std::io::Error::other));
    let stream = held(frames, expected, broken.clone());
    (s3s::Body::http_body_unsync(StreamBody::new(stream)), broken)
}

/// The same frames, and an error behind them if they do not have the digest.
fn held(
    frames: impl Stream<Item = std::io::Result<Frame<Bytes>>> + Send + Unpin + 'static,
    expected: String,
    broken: Broken,
) -> impl Stream<Item = std::io::Result<Frame<Bytes>>> + Send + 'static {
    stream::unfold(Some((frames, Sha256::new())), move |state| {
        let (expected, broken) = (expected.clone(), broken.clone());
        async move {
            let (mut frames, mut digest) = state?;
            match frames.next().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        digest.update(bytes);
                    }
                    Some((Ok(frame), Some((frames, digest))))
                }
                Some(Err(error)) => Some((Err(error), None)),
                None if STANDARD.encode(digest.finalize()) == expected => None,
                None => {
                    broken.0.store(true, Ordering::SeqCst);
                    Some((Err(std::io::Error::other("another SHA-256 than was signed")), None))
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn content_ends_in_an_error_unless_it_has_its_digest() {
        let frames = || {
            let parts = [&b"te"[..], b"st"].map(|part| Ok(Frame::data(Bytes::from_static(part))));
            stream::iter(parts)
        };
        let digest = STANDARD.encode(Sha256::digest(b"test"));
        for (expected, good) in [(digest, true), (STANDARD.encode(Sha256::digest(b"tesT")), false), (String::new(), false)] {
            let broken = Broken::default();
            let seen: Vec<_> = held(frames(), expected, broken.clone()).collect().await;
            assert_eq!((seen.len(), seen.iter().all(Result::is_ok), broken.is_set()), (if good { 2 } else { 3 }, good, !good));
        }
    }
}
