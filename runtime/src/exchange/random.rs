//! What the property tests of HTTP draw their inputs from: seeded, so that a failure repeats.

/// How many inputs each property is tried with.
pub(crate) const ROUNDS: u64 = 2_000;

/// G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (14), 2003.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Not zero, which it never leaves.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    /// Up to `longest` of these, in any order.
    pub(crate) fn of<T: Copy>(&mut self, these: &[T], longest: usize) -> Vec<T> {
        (0..self.below(longest + 1))
            .map(|_| these[self.below(these.len())])
            .collect()
    }

    pub(crate) fn bytes(&mut self, longest: usize) -> Vec<u8> {
        (0..self.below(longest + 1))
            .map(|_| self.below(256) as u8)
            .collect()
    }

    /// A text of what has a meaning somewhere, and of what needs care everywhere.
    pub(crate) fn text(&mut self, longest: usize) -> String {
        const CHARS: [char; 36] = [
            'a', 'B', 'z', '0', '9', '-', '_', '.', '~', '/', '?', '#', '&', ';', '=', '+', '%',
            ' ', '"', '\\', ',', ':', '@', '[', ']', '{', '}', '*', '(', '\0', '\r', '\n', '\x7f',
            'é', '€', '🦀',
        ];
        self.of(&CHARS, longest).into_iter().collect()
    }

    /// A text of the pieces that the syntax in question is made of: more often nearly right than random bytes are.
    pub(crate) fn pieces(&mut self, pieces: &[&str], longest: usize) -> String {
        self.of(pieces, longest).concat()
    }
}
