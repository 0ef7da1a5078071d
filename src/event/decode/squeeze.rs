//! Compression inside a payload, known by its first bytes and undone within bounds.

use std::io::Read;

/// The largest payload that a compressed one may become.
const LARGEST: usize = 16 << 20;

/// A way of compressing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Squeeze {
    Gzip,
    Zstd,
    Lz4,
    /// The framing format, and Kafka's older one (xerial's).
    Snappy,
    Xerial,
}

const XERIAL: &[u8] = b"\x82SNAPPY\0";

impl Squeeze {
    /// What the first bytes say.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let begins = |magic: &[u8]| bytes.starts_with(magic);
        match () {
            () if begins(b"\x1f\x8b\x08") => Some(Self::Gzip),
            () if begins(b"\x28\xb5\x2f\xfd") => Some(Self::Zstd),
            () if begins(b"\x04\x22\x4d\x18") => Some(Self::Lz4),
            () if begins(b"\xff\x06\x00\x00sNaPpY") => Some(Self::Snappy),
            () if begins(XERIAL) => Some(Self::Xerial),
            () => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Snappy | Self::Xerial => "snappy",
        }
    }

    /// The bytes as they were before.
    pub(super) fn undo(self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Gzip => all(flate2::read::MultiGzDecoder::new(bytes)),
            Self::Zstd => all(zstd::stream::read::Decoder::with_buffer(bytes).map_err(|e| e.to_string())?),
            Self::Lz4 => all(lz4_flex::frame::FrameDecoder::new(bytes)),
            Self::Snappy => all(snap::read::FrameDecoder::new(bytes)),
            Self::Xerial => xerial(bytes),
        }
    }
}

/// Reads to the end, or to the bound.
fn all(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    reader.take(LARGEST as u64 + 1).read_to_end(&mut out).map_err(|e| e.to_string())?;
    bounded(out)
}

fn bounded(out: Vec<u8>) -> Result<Vec<u8>, String> {
    if out.len() > LARGEST {
        return Err(format!("it becomes larger than {} MiB", LARGEST >> 20));
    }
    Ok(out)
}

/// Blocks of raw snappy, each behind its length, after a magic and two version numbers.
fn xerial(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut rest = bytes.get(XERIAL.len() + 8..).ok_or("it ends within its header")?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or("it ends within a length")?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (block, behind) = behind.split_at_checked(length).ok_or("it ends within a block")?;
        let size = snap::raw::decompress_len(block).map_err(|e| e.to_string())?;
        if out.len() + size > LARGEST {
            return Err(format!("it becomes larger than {} MiB", LARGEST >> 20));
        }
        out.extend(snap::raw::Decoder::new().decompress_vec(block).map_err(|e| e.to_string())?);
        rest = behind;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn squeezed(how: Squeeze, bytes: &[u8]) -> Vec<u8> {
        match how {
            Squeeze::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Squeeze::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Squeeze::Lz4 => {
                let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Squeeze::Snappy => {
                let mut out = snap::write::FrameEncoder::new(Vec::new());
                out.write_all(bytes).unwrap();
                out.into_inner().unwrap()
            }
            Squeeze::Xerial => {
                let block = snap::raw::Encoder::new().compress_vec(bytes).unwrap();
                let length = u32::try_from(block.len()).unwrap().to_be_bytes();
                [XERIAL, &[0, 0, 0, 1, 0, 0, 0, 1], &length, &block].concat()
            }
        }
    }

    #[test]
    fn every_compression_is_known_undone_and_bounded() {
        let bytes = b"{\"a\":1}".repeat(20);
        let bomb = vec![0; LARGEST + 1];
        for how in [Squeeze::Gzip, Squeeze::Zstd, Squeeze::Lz4, Squeeze::Snappy, Squeeze::Xerial] {
            let small = squeezed(how, &bytes);
            assert_eq!(Squeeze::of(&small), Some(how));
            assert_eq!(how.undo(&small).unwrap(), bytes, "{how:?}");
            assert!(how.undo(&small[..small.len() / 2]).is_err(), "{how:?}");
            assert!(how.undo(&squeezed(how, &bomb)).unwrap_err().contains("larger than 16 MiB"), "{how:?}");
        }
    }
}
