//! How latencies are kept: in histograms, and those in results as text.

use std::io::Read;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Latencies are kept to three digits, up to a minute: a longer one counts as that.
const LONGEST: Duration = Duration::from_secs(60);

/// Of bytes, before it is compressed: a histogram of five digits over all of 64 bits, with each of its counts as long as can be, is half as long.
const LONGEST_ENCODED: u32 = 128 << 20;

/// Of nanoseconds, and empty. All have the same bounds, so that they can be added.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, nanoseconds(LONGEST), 3).expect("the bounds are in order")
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A histogram as text: HdrHistogram's V2 encoding, compressed, in base64, as it is in the last column of an HDR histogram log. Every
/// count is in it, in some hundred bytes to a few thousand, and the libraries of all languages read it.
///
/// It is part of the result and no file beside it, so that a result is whole or not there, and is copied as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct EncodedHistogram(String);

/// A text is no histogram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a histogram of latencies is damaged ({0}): measure again")]
pub(crate) struct BadHistogram(String);

impl EncodedHistogram {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .expect("memory takes what is written to it, and no count is above i64::MAX");
        Self(STANDARD.encode(bytes))
    }

    /// The histogram that it was made of, count for count.
    pub(crate) fn decode(&self) -> Result<Histogram<u64>, BadHistogram> {
        let bytes = STANDARD
            .decode(&self.0)
            .map_err(|error| BadHistogram(error.to_string()))?;
        check_length(&bytes)?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| BadHistogram(error.to_string()))
    }
}

/// The reader takes as much memory as a histogram says that it is long, before it looks whether it is: what a few bytes of a foreign file say may be gigabytes.
fn check_length(compressed: &[u8]) -> Result<(), BadHistogram> {
    // Each head is a cookie and a length, in four bytes; within the compressed part is the other one.
    let mut head = [0; 8];
    let inside = compressed.get(head.len()..).unwrap_or_default();
    flate2::read::ZlibDecoder::new(inside)
        .read_exact(&mut head)
        .map_err(|error| BadHistogram(error.to_string()))?;
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    if length > LONGEST_ENCODED {
        return Err(BadHistogram(format!("it says to be of {length} bytes")));
    }
    Ok(())
}

/// All in one histogram; `None` if there are none.
pub(crate) fn merged<'a>(
    histograms: impl IntoIterator<Item = &'a Histogram<u64>>,
) -> Result<Option<Histogram<u64>>, BadHistogram> {
    let mut histograms = histograms.into_iter();
    let Some(first) = histograms.next() else {
        return Ok(None);
    };
    let mut all = first.clone();
    for histogram in histograms {
        all.add(histogram)
            .map_err(|error| BadHistogram(error.to_string()))?;
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_out() -> Histogram<u64> {
        let mut latencies = histogram();
        for step in 0..30 {
            latencies.record_n(1 << step, step + 1).unwrap();
        }
        latencies.record(nanoseconds(LONGEST)).unwrap();
        latencies
    }

    #[test]
    fn nothing_is_lost_in_the_text() {
        for latencies in [histogram(), spread_out()] {
            let encoded = EncodedHistogram::of(&latencies);
            let decoded = encoded.decode().unwrap();
            assert_eq!(decoded, latencies);
            assert_eq!(decoded.max(), latencies.max());
            assert_eq!(EncodedHistogram::of(&decoded), encoded);
            assert!(encoded.0.len() < 1_000, "{}", encoded.0.len());
        }
    }

    #[test]
    fn the_text_is_what_other_programs_read() {
        // The start of each compressed V2 histogram in a log: the cookie 0x1c849314.
        let EncodedHistogram(text) = EncodedHistogram::of(&spread_out());
        assert!(text.starts_with("HISTFAAAA"), "{text}");
    }

    #[test]
    fn a_damaged_text_is_an_error() {
        let EncodedHistogram(text) = EncodedHistogram::of(&spread_out());
        let half = text[..text.len() / 8 * 4].to_owned();
        for bad in [String::new(), "?".to_owned(), "AAAA".to_owned(), half] {
            let error = EncodedHistogram(bad.clone()).decode().unwrap_err();
            assert!(
                error.to_string().contains("measure again"),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn a_text_that_says_to_be_endless_takes_no_memory() {
        let EncodedHistogram(text) = EncodedHistogram::of(&spread_out());
        let compressed = STANDARD.decode(text).unwrap();
        let mut inside = Vec::new();
        flate2::read::ZlibDecoder::new(&compressed[8..])
            .read_to_end(&mut inside)
            .unwrap();
        inside[4..8].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        let mut again =
            flate2::read::ZlibEncoder::new(inside.as_slice(), flate2::Compression::fast());
        let mut forged = compressed[..8].to_vec();
        again.read_to_end(&mut forged).unwrap();
        let length = u32::try_from(forged.len() - 8).unwrap();
        forged[4..8].copy_from_slice(&length.to_be_bytes());

        let error = EncodedHistogram(STANDARD.encode(forged)).decode();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("2147483647 bytes"), "{error}");
    }

    #[test]
    fn histograms_add_up() {
        let (latencies, empty) = (spread_out(), histogram());
        let all = merged([&latencies, &empty, &latencies]).unwrap().unwrap();
        assert_eq!(all.len(), 2 * latencies.len());
        assert_eq!(all.max(), latencies.max());
        assert_eq!(merged([]).unwrap(), None);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut narrow = Histogram::new_with_bounds(1, 1_000, 3).unwrap();
        narrow.record(1).unwrap();
        assert!(merged([&narrow, &spread_out()]).is_err());
    }
}
