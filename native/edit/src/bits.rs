/// A set of row numbers below a limit. Up to 64 need no memory of their own.
#[derive(Clone, Debug, Default)]
pub struct Bits {
    first: u64,
    rest: Vec<u64>,
}

impl Bits {
    /// An empty set for rows below `limit`.
    pub fn new(limit: usize) -> Self {
        Self { first: 0, rest: vec![0; limit.saturating_sub(1) >> 6] }
    }

    /// Add a row; rows beyond the limit are ignored.
    #[inline]
    pub fn add(&mut self, row: usize) {
        let word = match row >> 6 {
            0 => Some(&mut self.first),
            place => self.rest.get_mut(place - 1),
        };
        if let Some(word) = word {
            *word |= 1 << (row & 63);
        }
    }

    #[inline]
    fn word(&self, place: usize) -> Option<u64> {
        if place == 0 { Some(self.first) } else { self.rest.get(place - 1).copied() }
    }

    /// Whether a row is in the set.
    #[inline]
    pub fn has(&self, row: usize) -> bool {
        self.word(row >> 6).is_some_and(|word| word >> (row & 63) & 1 == 1)
    }

    /// The first row of the set that is not below `from`.
    #[inline]
    pub fn next(&self, from: usize) -> Option<usize> {
        let mut place = from >> 6;
        let mut word = self.word(place)? & (!0 << (from & 63));
        while word == 0 {
            place += 1;
            word = self.word(place)?;
        }
        Some(place << 6 | word.trailing_zeros() as usize)
    }
}
