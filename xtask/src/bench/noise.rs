//! Numbers and bytes without a pattern, the same ones each time.

const SEED: u64 = 0x2545_f491_4f6c_dd1d;

/// Marsaglia's xorshift with the shifts 13, 7, 17: not random, but nothing a compressor could use.
pub(crate) struct Xorshift(u64);

impl Xorshift {
    /// Numbers that look like no other seed's.
    pub(crate) const fn new(seed: u64) -> Self {
        // Never zero, where it would stay.
        Self(SEED.wrapping_mul(seed << 1 | 1))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`, which is small.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // The upper bits are the better ones.
        usize::try_from(self.next() >> 32).unwrap_or_default() % end
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Bytes that cannot be compressed, at least `len` of them.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut random = Xorshift::new(0);
    (0..len.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_cannot_be_compressed() {
        let noise = noise(1024 * 1024);
        assert!(testkit::gzip(&noise).len() >= noise.len());
    }

    #[test]
    fn neighbouring_seeds_have_nothing_in_common() {
        let numbers = |seed| {
            let mut random = Xorshift::new(seed);
            [random.next(), random.next(), random.next()]
        };
        let (one, other) = (numbers(0), numbers(1));
        assert!(one.iter().all(|number| !other.contains(number)));
    }
}
