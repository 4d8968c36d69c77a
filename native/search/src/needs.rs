//! What every match of a pattern needs: so many bytes of a kind. Counting bytes is many times cheaper than matching.

use regex_syntax::hir::{Class, Hir, HirKind};

/// A set of ASCII characters that a value must have so many of, if a pattern matches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The characters, as ranges from first to last.
    pub ranges: Vec<(u8, u8)>,
    /// How many of them there must be, at least one.
    pub least: usize,
}

/// Sets of more ranges cost more to count than they save.
const MAX_RANGES: usize = 4;
/// How often a character of English prose or JSON occurs in a thousand, about: for choosing between needs.
fn frequency(byte: u8) -> usize {
    match byte {
        b' ' => 150,
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' | b'h' | b'l' => 60,
        b'a'..=b'z' => 15,
        b'"' | b',' | b'.' | b':' => 15,
        b'0'..=b'9' | b'A'..=b'Z' | b'-' | b'_' | b'{' | b'}' | b'[' | b']' | b'\\' | b'/' | b'\n' => 4,
        _ => 1,
    }
}

impl Need {
    /// Whether a text may match.
    #[inline]
    pub fn is_met(&self, text: &[u8]) -> bool {
        match self.ranges[..] {
            [(first, last)] if first == last && self.least == 1 => memchr::memchr(first, text).is_some(),
            [(first, last)] => self.counted(text, |byte| byte.wrapping_sub(first) <= last - first),
            _ => self.counted(text, |byte| self.ranges.iter().any(|&(first, last)| (first..=last).contains(&byte))),
        }
    }

    /// Count in pieces whose sum fits in a byte, which compilers turn into vector instructions.
    #[inline]
    fn counted(&self, text: &[u8], wanted: impl Fn(u8) -> bool) -> bool {
        let mut missing = self.least;
        for piece in text.chunks(128) {
            let found = usize::from(piece.iter().fold(0u8, |sum, &byte| sum + u8::from(wanted(byte))));
            if found >= missing {
                return true;
            }
            missing -= found;
        }
        false
    }

    /// How many more of them a usual text has than it must, in thousandths: the fewer, the better the need.
    fn commonness(&self) -> usize {
        let usual: usize = self.ranges.iter().flat_map(|&(first, last)| first..=last).map(frequency).sum();
        usual * 1000 / self.least
    }
}

/// Return at most two needs of a pattern, the rarer first.
pub fn needs(hir: &Hir) -> Vec<Need> {
    let mut kinds = Vec::new();
    collect(hir, &mut kinds);
    kinds.sort_unstable();
    kinds.dedup();
    let mut found: Vec<Need> = kinds
        .into_iter()
        .map(|ranges| Need { least: least(hir, &ranges), ranges })
        .filter(|need| need.least > 0)
        .collect();
    found.sort_by_key(Need::commonness);
    found.truncate(2);
    found
}

/// Gather the sets of characters that a pattern names.
fn collect(hir: &Hir, kinds: &mut Vec<Vec<(u8, u8)>>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => {
            kinds.extend(literal.0.iter().filter(|byte| byte.is_ascii()).map(|&byte| vec![(byte, byte)]));
        }
        HirKind::Class(class) => kinds.extend(ascii(class).filter(|ranges| ranges.len() <= MAX_RANGES)),
        HirKind::Repetition(repetition) => collect(&repetition.sub, kinds),
        HirKind::Capture(capture) => collect(&capture.sub, kinds),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().for_each(|part| collect(part, kinds)),
    }
}

/// Return the ranges of a class without characters outside of ASCII.
fn ascii(class: &Class) -> Option<Vec<(u8, u8)>> {
    match class {
        Class::Unicode(class) => class
            .ranges()
            .iter()
            .map(|range| Some((u8::try_from(range.start()).ok()?, u8::try_from(range.end()).ok()?)))
            .map(|range| range.filter(|(_, last)| last.is_ascii()))
            .collect(),
        Class::Bytes(_) => None,
    }
}

/// Return how many characters of a set every match has at least.
fn least(hir: &Hir, set: &[(u8, u8)]) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.iter().filter(|&&byte| within(byte, byte, set)).count(),
        HirKind::Class(class) => {
            usize::from(ascii(class).is_some_and(|ranges| ranges.iter().all(|&(first, last)| within(first, last, set))))
        }
        HirKind::Repetition(repetition) => least(&repetition.sub, set).saturating_mul(repetition.min as usize),
        HirKind::Capture(capture) => least(&capture.sub, set),
        HirKind::Concat(parts) => parts.iter().fold(0, |sum, part| sum.saturating_add(least(part, set))),
        HirKind::Alternation(parts) => parts.iter().map(|part| least(part, set)).min().unwrap_or(0),
    }
}

fn within(first: u8, last: u8, set: &[(u8, u8)]) -> bool {
    set.iter().any(|&(low, high)| low <= first && last <= high)
}
