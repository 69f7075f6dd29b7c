//! The gzip layer, written: one member (RFC 1952), compressed in blocks by several threads, the same bytes whatever
//! their number and whatever the sizes of the writes.

use std::io::{self, Write};
use std::mem;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Bytes compressed by one thread at a time. Part of the format: other blocks are other bytes.
const BLOCK: usize = 1024 * 1024;
/// Bytes before a block that its compressor may refer to: the window of deflate.
const DICTIONARY: usize = 32 * 1024;
/// The fixed header: no name, no time, "slowest algorithm", unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
/// More threads would save little and hold 7 MiB each.
const THREADS_MAX: usize = 4;
/// Blocks given to one thread: one in work, one waiting.
const IN_FLIGHT: usize = 2;

/// Compresses what is written to it into `W`. Without [`finish`](Self::finish) the member has no end.
///
/// Each block starts a fresh compressor that knows the bytes before it, and ends at a byte boundary, so that blocks are
/// compressed apart from each other and then stand in a row. After an error nothing sensible can be written any more.
pub(crate) struct Gzip<W> {
    into: W,
    filling: Block,
    block: usize,
    deflate: Deflate,
    threads: usize,
    /// Thread `n` has the blocks `n`, `n + threads`, …; it starts with the first of them.
    workers: Vec<Worker>,
    sent: usize,
    written: usize,
    crc: Crc,
}

/// What a thread does with a block; tests have it fail.
type Deflate = fn(&mut Block) -> io::Result<()>;

/// A block on its way through a thread and back, where its buffers are filled again.
#[derive(Default)]
struct Block {
    /// The dictionary, then the block itself.
    bytes: Vec<u8>,
    dictionary: usize,
    last: bool,
    compressed: Vec<u8>,
    crc: Crc,
}

/// The two ends of a thread. It ends when they are dropped.
struct Worker {
    blocks: SyncSender<Block>,
    compressed: Receiver<io::Result<Block>>,
}

impl<W: Write> Gzip<W> {
    /// Writes the header. Threads start as there is work for them.
    pub(crate) fn new(into: W, threads: NonZeroUsize) -> io::Result<Self> {
        Self::with(into, threads, BLOCK, deflate)
    }

    fn with(mut into: W, threads: NonZeroUsize, block: usize, deflate: Deflate) -> io::Result<Self> {
        into.write_all(&HEADER)?;
        let threads = threads.get().min(THREADS_MAX);
        let (filling, workers, crc) = (Block::with_room(block), Vec::new(), Crc::new());
        Ok(Self { into, filling, block, deflate, threads, workers, sent: 0, written: 0, crc })
    }

    /// Compresses the rest and writes the trailer.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let mut last = mem::take(&mut self.filling);
        last.last = true;
        self.send(last)?;
        while self.written < self.sent {
            self.collect()?;
        }
        self.into.write_all(&self.crc.sum().to_le_bytes())?;
        self.into.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.into)
    }

    fn send(&mut self, block: Block) -> io::Result<()> {
        let turn = self.sent % self.threads;
        if turn == self.workers.len() {
            self.workers.push(Worker::start(self.deflate)?);
        }
        self.workers[turn].blocks.send(block).map_err(|_| died())?;
        self.sent += 1;
        Ok(())
    }

    /// Writes the oldest block that is not written, when its thread is done with it.
    fn collect(&mut self) -> io::Result<Block> {
        let worker = &self.workers[self.written % self.threads];
        let block = worker.compressed.recv().map_err(|_| died())??;
        self.into.write_all(&block.compressed)?;
        self.crc.combine(&block.crc);
        self.written += 1;
        Ok(block)
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.block - (self.filling.bytes.len() - self.filling.dictionary);
        let taken = bytes.len().min(room);
        self.filling.bytes.extend_from_slice(&bytes[..taken]);
        if taken == room {
            let all_busy = self.sent - self.written == IN_FLIGHT * self.threads;
            let used = if all_busy { self.collect()? } else { Block::with_room(self.block) };
            let next = self.filling.followed_by(used);
            let full = mem::replace(&mut self.filling, next);
            self.send(full)?;
        }
        Ok(taken)
    }

    /// Cannot write a block that is not full, as the bytes would depend on it.
    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

impl Block {
    /// An empty block in buffers that will do for `block` bytes.
    fn with_room(block: usize) -> Self {
        // What does not compress is stored, at five bytes for each 16 KiB. Room for all of it makes one call enough: a
        // flush that has to be continued may leave its mark twice.
        let compressed = Vec::with_capacity(block + block / 1024 + 1024);
        Self { bytes: Vec::with_capacity(DICTIONARY + block), compressed, ..Self::default() }
    }

    /// An empty block in the buffers of a `used` one, with the end of this one as its dictionary.
    fn followed_by(&self, mut used: Self) -> Self {
        used.bytes.clear();
        used.bytes.extend_from_slice(&self.bytes[self.bytes.len().saturating_sub(DICTIONARY)..]);
        used.dictionary = used.bytes.len();
        used
    }
}

impl Worker {
    fn start(deflate: Deflate) -> io::Result<Self> {
        // Room for the last block, too, for which none is collected: neither side ever waits for room.
        let (blocks, waiting) = sync_channel::<Block>(IN_FLIGHT + 1);
        let (done, compressed) = sync_channel(IN_FLIGHT + 1);
        let work = move || {
            while let Ok(mut block) = waiting.recv() {
                let result = deflate(&mut block).map(|()| block);
                if done.send(result).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("deflate".to_owned()).spawn(work)?;
        Ok(Self { blocks, compressed })
    }
}

/// Raw deflate (RFC 1951) of one block, up to a byte boundary or the end of the stream.
///
/// Level 9 is the one whose result does not depend on how the input is cut. A compressor that is used again may know
/// something of its past; a new one costs nothing beside the work.
fn deflate(block: &mut Block) -> io::Result<()> {
    let (dictionary, input) = block.bytes.split_at(block.dictionary);
    block.crc.reset();
    block.crc.update(input);
    block.compressed.clear();
    let mut compress = Compress::new(Compression::best(), false);
    if !dictionary.is_empty() {
        compress.set_dictionary(dictionary)?;
    }
    let flush = if block.last { FlushCompress::Finish } else { FlushCompress::Sync };
    compress.compress_vec(input, &mut block.compressed, flush)?;
    if block.compressed.len() == block.compressed.capacity() {
        return Err(io::Error::other("a compressed block needs more room than any should"));
    }
    Ok(())
}

fn died() -> io::Error {
    io::Error::other("a thread that compresses has ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use std::io::Read;

    fn threads(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).unwrap()
    }

    fn packed(bytes: &[u8], writes: usize, block: usize, n: usize) -> Vec<u8> {
        let mut gzip = Gzip::with(Vec::new(), threads(n), block, deflate).unwrap();
        for chunk in bytes.chunks(writes) {
            gzip.write_all(chunk).unwrap();
        }
        gzip.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut decoder = GzDecoder::new(packed);
        let mut bytes = Vec::new();
        decoder.read_to_end(&mut bytes).unwrap();
        assert!(decoder.into_inner().is_empty(), "something after the member");
        bytes
    }

    /// Bytes that neither repeat nor compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn the_header_names_no_machine_and_no_time() {
        let packed = packed(b"", 1, BLOCK, 1);
        assert_eq!(packed, [&HEADER[..], &[3, 0], &[0; 8]].concat());
    }

    #[test]
    fn whole_blocks_of_any_content_come_back() {
        for (name, bytes) in [
            ("noise", noise(2 * BLOCK + 1)),
            ("exactly two blocks", noise(2 * BLOCK)),
            ("zeros", vec![0; 2 * BLOCK + 7]),
        ] {
            assert_eq!(unpacked(&packed(&bytes, 100_000, BLOCK, 2)), bytes, "{name}");
        }
    }

    #[test]
    fn a_block_refers_to_the_one_before() {
        let half = noise(10_000);
        let len = packed(&[&half[..], &half].concat(), 1000, half.len(), 2).len();
        assert!(len < 11_000, "{len} bytes for 10,000 bytes twice");
    }

    #[test]
    fn a_sink_that_fails_ends_it() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let bytes = noise(100_000);
        for room in [0, 9, 10, 50_000, 100_100] {
            let all = Gzip::with(Full(room), threads(2), 1000, deflate)
                .and_then(|mut gzip| gzip.write_all(&bytes).and_then(|()| gzip.finish()));
            assert_eq!(all.err().map(|error| error.kind()), Some(io::ErrorKind::StorageFull), "{room}");
        }
    }

    #[test]
    fn a_block_without_room_is_an_error() {
        let short = |block: &mut Block| {
            block.compressed = Vec::with_capacity(100);
            deflate(block)
        };
        let mut gzip = Gzip::with(Vec::new(), threads(1), 1000, short).unwrap();
        assert!(gzip.write_all(&noise(5000)).and_then(|()| gzip.finish()).is_err());
    }

    #[test]
    fn a_thread_that_panics_ends_it() {
        fn panics(block: &mut Block) -> io::Result<()> {
            assert!(!block.bytes.ends_with(b"!"), "meant to happen");
            deflate(block)
        }
        for (bytes, n) in [(&b"ab!"[..], 1), (b"a!b!c!d!e!f!", 2), (b"!", 3)] {
            let mut gzip = Gzip::with(Vec::new(), threads(n), 1, panics).unwrap();
            let all = gzip.write_all(bytes).and_then(|()| gzip.finish());
            assert_eq!(all.unwrap_err().to_string(), "a thread that compresses has ended", "{n} threads");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Small blocks, so that many of them are under way.
        #[test]
        fn neither_threads_nor_writes_show_in_what_comes_back(
            words in proptest::collection::vec(any::<u16>(), 0..20_000),
            spread in 1..2000_u16,
            writes in 1..9000_usize,
            block in 1..5000_usize,
        ) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| (word % spread).to_le_bytes()).collect();
            let block = block.max(bytes.len() / 100);
            let one = packed(&bytes, bytes.len().max(1), block, 1);
            prop_assert_eq!(unpacked(&one), bytes.clone());
            for n in [1, 2, 4, 9] {
                prop_assert_eq!(&packed(&bytes, writes, block, n), &one, "{} threads", n);
            }
        }
    }
}
