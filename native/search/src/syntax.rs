//! Reads regular expressions in RE2's syntax, which is Go's, for an engine whose own syntax differs in detail.
//!
//! What is read means exactly the same; everything else is refused by name, and whoever asked goes another way: classes
//! of Unicode properties (the engines have tables of different versions), case-insensitive characters outside of ASCII,
//! patterns that match the empty string or repeat what does (the engines step over empty matches differently).
//! See <https://github.com/google/re2/wiki/Syntax>.

use std::iter::Peekable;
use std::str::Chars;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};

/// Why a pattern is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported(pub String);

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}

type Result<T> = std::result::Result<T, Unsupported>;

/// Groups within groups; RE2 allows 1000, but nobody needs them, and each takes stack here.
const MAX_NESTING: usize = 100;
/// RE2's limit.
const MAX_REPEAT: u32 = 1000;

/// Return what a pattern means.
///
/// # Errors
/// For a pattern that is none, or that is not known to mean the same here.
pub fn parse(pattern: &str) -> Result<Hir> {
    let mut reader = Reader { rest: pattern.chars().peekable(), flags: Flags::default(), nesting: 0 };
    let hir = reader.alternatives()?;
    if reader.rest.peek().is_some() {
        return refuse("an unexpected )");
    }
    if may_be_empty(&hir) {
        return refuse("it matches the empty string");
    }
    Ok(hir)
}

fn refuse<T>(reason: impl Into<String>) -> Result<T> {
    Err(Unsupported(reason.into()))
}

fn may_be_empty(hir: &Hir) -> bool {
    hir.properties().minimum_len().is_none_or(|length| length == 0)
}

#[derive(Clone, Copy, Default)]
struct Flags {
    fold: bool,
    lines: bool,
    dot_newline: bool,
    lazy: bool,
}

/// Recursive descent; flags are scoped to the group that sets them.
struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    flags: Flags,
    nesting: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<char> {
        self.rest.next().map_or_else(|| refuse("it ends too early"), Ok)
    }

    fn accept(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    /// Whether the text goes on like this; nothing is read.
    fn starts_with(&self, text: &str) -> bool {
        let mut ahead = self.rest.clone();
        text.chars().all(|wanted| ahead.next() == Some(wanted))
    }

    fn until(&mut self, end: &str) -> Result<String> {
        let mut text = String::new();
        while !self.starts_with(end) {
            text.push(self.next()?);
        }
        for _ in end.chars() {
            self.next()?;
        }
        Ok(text)
    }

    fn alternatives(&mut self) -> Result<Hir> {
        let mut parts = vec![self.sequence()?];
        while self.accept('|') {
            parts.push(self.sequence()?);
        }
        Ok(Hir::alternation(parts))
    }

    fn sequence(&mut self) -> Result<Hir> {
        let mut parts = Vec::new();
        while let Some(&char) = self.rest.peek() {
            if char == '|' || char == ')' {
                break;
            }
            let mut atoms = self.atoms()?;
            if let Some(last) = atoms.pop() {
                parts.append(&mut atoms);
                parts.push(self.repeated(last)?);
            }
        }
        Ok(Hir::concat(parts))
    }

    fn repeated(&mut self, part: Hir) -> Result<Hir> {
        let Some((min, max)) = self.bounds()? else {
            return Ok(part);
        };
        let lazy = self.accept('?') != self.flags.lazy;
        if self.bounds()?.is_some() {
            return refuse("a repetition of a repetition");
        }
        if max != Some(1) && may_be_empty(&part) {
            return refuse("it repeats what matches the empty string");
        }
        Ok(Hir::repetition(Repetition { min, max, greedy: !lazy, sub: Box::new(part) }))
    }

    fn bounds(&mut self) -> Result<Option<(u32, Option<u32>)>> {
        for (sign, bounds) in [('*', (0, None)), ('+', (1, None)), ('?', (0, Some(1)))] {
            if self.accept(sign) {
                return Ok(Some(bounds));
            }
        }
        if self.rest.peek() != Some(&'{') {
            return Ok(None);
        }
        let inside: String = self.rest.clone().skip(1).take_while(|&char| char != '}').collect();
        let closed = self.rest.clone().nth(inside.chars().count() + 1) == Some('}');
        let (least, most) = inside.split_once(',').map_or((inside.as_str(), None), |(a, b)| (a, Some(b)));
        if !closed || !is_number(least) || most.is_some_and(|most| !most.is_empty() && !is_number(most)) {
            return Ok(None); // then the brace is a character like any other
        }
        self.until("}")?;
        let min = count(least)?;
        let max = match most {
            None => Some(min),
            Some("") => None,
            Some(most) => Some(count(most)?),
        };
        if max.is_some_and(|max| max < min) {
            return refuse("it repeats at least more often than at most");
        }
        Ok(Some((min, max)))
    }

    fn atoms(&mut self) -> Result<Vec<Hir>> {
        let char = self.next()?;
        Ok(vec![match char {
            '(' => return self.group(),
            '[' => self.class()?,
            '.' => class_of(if self.flags.dot_newline { ANY } else { ANY_BUT_NEWLINE }),
            '^' => Hir::look(if self.flags.lines { Look::StartLF } else { Look::Start }),
            '$' => Hir::look(if self.flags.lines { Look::EndLF } else { Look::End }),
            '\\' => return self.escaped(),
            '*' | '+' | '?' => return refuse(format!("nothing to repeat before {char}")),
            _ => self.literal(char)?,
        }])
    }

    fn group(&mut self) -> Result<Vec<Hir>> {
        let outer = self.flags;
        if self.accept('?') {
            if self.starts_with("P<") || self.starts_with("<") {
                let name = self.until(">")?;
                let name = name.trim_start_matches('P').trim_start_matches('<');
                if name.is_empty() || !name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_') {
                    return refuse("the name of a group");
                }
            } else if !self.flags()? {
                return Ok(Vec::new()); // (?i) alone: holds to the end of the group around it
            }
        }
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return refuse("groups lie too deep within groups");
        }
        let inside = self.alternatives()?;
        self.nesting -= 1;
        if !self.accept(')') {
            return refuse("a group does not end");
        }
        self.flags = outer;
        Ok(vec![inside])
    }

    /// Read `flags:` (true: the group goes on) or `flags)`.
    fn flags(&mut self) -> Result<bool> {
        let mut on = true;
        loop {
            match self.next()? {
                ':' => return Ok(true),
                ')' => return Ok(false),
                '-' if on => on = false,
                'i' => self.flags.fold = on,
                'm' => self.flags.lines = on,
                's' => self.flags.dot_newline = on,
                'U' => self.flags.lazy = on,
                other => return refuse(format!("the flag {other}")),
            }
        }
    }

    fn literal(&self, char: char) -> Result<Hir> {
        if !self.flags.fold {
            return Ok(Hir::literal(char.encode_utf8(&mut [0; 4]).as_bytes()));
        }
        let mut ranges = Ranges::default();
        ranges.add(char, char);
        ranges.folded()?;
        Ok(ranges.hir())
    }

    fn escaped(&mut self) -> Result<Vec<Hir>> {
        let char = self.next()?;
        Ok(vec![match char {
            'A' => Hir::look(Look::Start),
            'z' => Hir::look(Look::End),
            'b' => Hir::look(Look::WordAscii),
            'B' => Hir::look(Look::WordAsciiNegate),
            'Q' => {
                let mut quoted = String::new();
                while !self.starts_with("\\E")
                    && let Some(char) = self.rest.next()
                {
                    quoted.push(char);
                }
                if self.accept('\\') {
                    self.accept('E');
                }
                return quoted.chars().map(|char| self.literal(char)).collect();
            }
            _ => {
                if let Some(ranges) = self.perl(char)? {
                    ranges.hir()
                } else {
                    let code = self.code(char)?;
                    self.literal(code)?
                }
            }
        }])
    }

    /// Return the class of `\d`, `\S` …
    fn perl(&self, char: char) -> Result<Option<Ranges>> {
        let ranges = match char.to_ascii_lowercase() {
            'd' => DIGIT,
            's' => SPACE,
            'w' => WORD,
            _ => return Ok(None),
        };
        self.named(ranges, char.is_ascii_uppercase()).map(Some)
    }

    fn named(&self, ranges: &[(char, char)], negated: bool) -> Result<Ranges> {
        let mut found = Ranges(ranges.to_vec());
        if self.flags.fold {
            found.folded()?;
        }
        Ok(if negated { found.negated() } else { found })
    }

    /// Read the rest of an escaped character.
    fn code(&mut self, char: char) -> Result<char> {
        let digits = match char {
            'a' => return Ok('\x07'),
            'f' => return Ok('\x0c'),
            't' => return Ok('\t'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            'v' => return Ok('\x0b'),
            'x' if self.accept('{') => self.until("}")?,
            'x' => [self.next()?, self.next()?].iter().collect(),
            '0'..='7' => {
                let mut digits = String::from(char);
                while digits.len() < 3
                    && let Some(digit) = self.rest.next_if(|char| ('0'..='7').contains(char))
                {
                    digits.push(digit);
                }
                if digits.len() == 1 && char != '0' {
                    return refuse("a reference to a group");
                }
                return number(&digits, 8);
            }
            _ if char.is_ascii_punctuation() && char != '_' || char == ' ' => return Ok(char),
            _ => return refuse(format!("the escape \\{char}")),
        };
        number(&digits, 16)
    }

    fn class(&mut self) -> Result<Hir> {
        let negated = self.accept('^');
        let mut ranges = Ranges::default();
        let mut first = true;
        while first || self.rest.peek() != Some(&']') {
            self.class_part(&mut ranges)?;
            first = false;
        }
        self.next()?;
        let ranges = if negated { ranges.negated() } else { ranges };
        if ranges.set().ranges().is_empty() {
            return refuse("a class without characters");
        }
        Ok(ranges.hir())
    }

    fn class_part(&mut self, ranges: &mut Ranges) -> Result<()> {
        if self.starts_with("[:") {
            self.next()?;
            self.next()?;
            let name = self.until(":]")?;
            let plain = name.strip_prefix('^');
            let Some((_, found)) = POSIX.iter().find(|(known, _)| *known == plain.unwrap_or(&name)) else {
                return refuse(format!("the class [:{name}:]"));
            };
            ranges.0.extend(self.named(found, plain.is_some())?.0);
            return Ok(());
        }
        let mut low = self.next()?;
        if low == '\\' {
            low = self.next()?;
            if let Some(found) = self.perl(low)? {
                ranges.0.extend(found.0);
                return Ok(());
            }
            low = self.code(low)?;
        }
        let mut high = low;
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|char| char != ']') {
            self.next()?;
            high = self.next()?;
            if high == '\\' {
                high = self.next()?;
                high = self.code(high)?;
            }
        }
        if high < low {
            return refuse("a range runs backwards");
        }
        let mut own = Ranges(vec![(low, high)]);
        if self.flags.fold {
            own.folded()?;
        }
        ranges.0.extend(own.0);
        Ok(())
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn count(digits: &str) -> Result<u32> {
    match digits.parse() {
        Ok(number) if number <= MAX_REPEAT => Ok(number),
        _ => refuse("it repeats too often"),
    }
}

fn number(digits: &str, base: u32) -> Result<char> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return refuse(format!("the number {digits:?}"));
    }
    let code = u32::from_str_radix(digits, base).ok().and_then(char::from_u32);
    code.map_or_else(|| refuse(format!("the character {digits:?}")), Ok)
}

const ANY: &[(char, char)] = &[('\0', char::MAX)];
const ANY_BUT_NEWLINE: &[(char, char)] = &[('\0', '\t'), ('\x0b', char::MAX)];
const DIGIT: &[(char, char)] = &[('0', '9')];
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const POSIX: &[(&str, &[(char, char)])] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// Characters, as ranges in any order.
#[derive(Default)]
struct Ranges(Vec<(char, char)>);

impl Ranges {
    fn add(&mut self, low: char, high: char) {
        self.0.push((low, high));
    }

    /// Add what differs in case only.
    fn folded(&mut self) -> Result<()> {
        for (low, high) in self.0.clone() {
            if !high.is_ascii() {
                return refuse("a character outside of ASCII without regard to case");
            }
            for (first, last, shift) in [('a', 'z', 'A'), ('A', 'Z', 'a')] {
                let (from, to) = (low.max(first), high.min(last));
                if from <= to {
                    let moved = |char: char| char::from(char as u8 - first as u8 + shift as u8);
                    self.add(moved(from), moved(to));
                }
            }
            for (letter, sign) in [('k', '\u{212a}'), ('K', '\u{212a}'), ('s', '\u{17f}'), ('S', '\u{17f}')] {
                if (low..=high).contains(&letter) {
                    self.add(sign, sign);
                }
            }
        }
        Ok(())
    }

    fn negated(&self) -> Self {
        let mut set = self.set();
        set.negate();
        Self(set.ranges().iter().map(|range| (range.start(), range.end())).collect())
    }

    fn set(&self) -> ClassUnicode {
        ClassUnicode::new(self.0.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)))
    }

    fn hir(&self) -> Hir {
        Hir::class(Class::Unicode(self.set()))
    }
}

fn class_of(ranges: &[(char, char)]) -> Hir {
    Ranges(ranges.to_vec()).hir()
}
