//! Several patterns over texts.

use std::fmt;
use std::ops::Range;

use regex_automata::meta::Regex;

use crate::needs::{Need, needs};
use crate::syntax::parse;

/// A pattern that cannot be searched for with the meaning that it has in RE2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// Its place among the patterns.
    pub number: usize,
    /// Why.
    pub reason: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pattern {} cannot be searched for: {}", self.number, self.reason)
    }
}

impl std::error::Error for PatternError {}

/// Bytes that the program of one pattern may have; RE2's callers allow as much.
const MAX_PROGRAM: usize = 64 << 20;

#[derive(Debug)]
struct Pattern {
    /// Bytes of the shortest match.
    shortest: usize,
    needs: Vec<Need>,
    regex: Regex,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let hir = parse(text).map_err(|error| error.to_string())?;
        let config = Regex::config().nfa_size_limit(Some(MAX_PROGRAM));
        let regex = Regex::builder().configure(config).build_from_hir(&hir).map_err(|error| error.to_string())?;
        let shortest = hir.properties().minimum_len().unwrap_or(0);
        Ok(Self { shortest, needs: needs(&hir), regex })
    }

    #[inline]
    fn may_match(&self, text: &[u8]) -> bool {
        text.len() >= self.shortest && self.needs.iter().all(|need| need.is_met(text))
    }

    #[inline]
    fn matches(&self, text: &[u8]) -> bool {
        self.may_match(text) && self.regex.is_match(text)
    }
}

/// Patterns in RE2's syntax over UTF-8; each finds what RE2 and Go find: leftmost-first, not overlapping.
#[derive(Debug)]
pub struct Searcher {
    patterns: Vec<Pattern>,
}

impl Searcher {
    /// Compile.
    ///
    /// # Errors
    /// For the first pattern that is not known to mean the same here as in RE2.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        let compiled = patterns
            .iter()
            .enumerate()
            .map(|(number, text)| Pattern::new(text.as_ref()).map_err(|reason| PatternError { number, reason }));
        Ok(Self { patterns: compiled.collect::<Result<_, _>>()? })
    }

    /// Whether any pattern matches anywhere in a text.
    #[inline]
    pub fn matches(&self, text: &[u8]) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(text))
    }

    /// Return what each pattern matches, by the number of the pattern.
    pub fn find<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, Range<usize>)> + 'a {
        let patterns = self.patterns.iter().enumerate().filter(|(_, pattern)| pattern.may_match(text));
        patterns
            .flat_map(move |(number, pattern)| pattern.regex.find_iter(text).map(move |found| (number, found.range())))
    }

    /// Replace what the patterns match, one pattern after the other, each in what those before it left.
    ///
    /// `mask` appends what stands in place of a match. Returns `None` where nothing matches.
    ///
    /// # Errors
    /// Those of `mask`.
    pub fn replace<E>(
        &self,
        text: &[u8],
        mut mask: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Option<Vec<u8>>, E> {
        let mut changed: Option<Vec<u8>> = None;
        for pattern in &self.patterns {
            let current = changed.as_deref().unwrap_or(text);
            if !pattern.may_match(current) {
                continue;
            }
            let mut out = Vec::new();
            let mut last = 0;
            for found in pattern.regex.find_iter(current) {
                if last == 0 {
                    out.reserve(current.len());
                }
                out.extend_from_slice(part(current, last..found.start()));
                mask(part(current, found.range()), &mut out)?;
                last = found.end();
            }
            if last > 0 {
                out.extend_from_slice(part(current, last..current.len()));
                changed = Some(out);
            }
        }
        Ok(changed)
    }
}

fn part(text: &[u8], range: Range<usize>) -> &[u8] {
    text.get(range).unwrap_or_default()
}
