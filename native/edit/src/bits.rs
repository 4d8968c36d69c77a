/// A set of row numbers below a limit.
#[derive(Clone, Debug, Default)]
pub struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// An empty set for rows below `limit`.
    pub fn new(limit: usize) -> Self {
        Self { words: vec![0; limit.div_ceil(64)] }
    }

    /// Add a row; rows beyond the limit are ignored.
    #[inline]
    pub fn add(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row >> 6) {
            *word |= 1 << (row & 63);
        }
    }

    /// Whether a row is in the set.
    #[inline]
    pub fn has(&self, row: usize) -> bool {
        self.words.get(row >> 6).is_some_and(|word| word >> (row & 63) & 1 == 1)
    }

    /// The first row of the set that is not below `from`.
    #[inline]
    pub fn next(&self, from: usize) -> Option<usize> {
        let mut place = from >> 6;
        let mut word = self.words.get(place)? & (!0 << (from & 63));
        while word == 0 {
            place += 1;
            word = *self.words.get(place)?;
        }
        Some(place << 6 | word.trailing_zeros() as usize)
    }
}
