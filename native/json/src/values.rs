//! Numbers and truth values in all forms that a text may give them.

use crate::scan::{Number, Scanner, Text, nearest};

/// The value of most attributes.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'a> {
    /// `stringValue`
    Text(Text<'a>),
    /// `intValue`
    Integer(i64),
    /// `doubleValue`
    Double(f64),
    /// `boolValue`
    Bool(bool),
}

impl<'a> Scanner<'a> {
    /// Read key and value of an attribute of the form `{"key":"…","value":{"…Value":…}}`, to the letter.
    #[inline]
    pub fn attribute(&mut self) -> Option<(&'a [u8], Scalar<'a>)> {
        self.literal(b"{\"key\":")?;
        let key = self.string()?.plain()?;
        self.literal(b",\"value\":{\"")?;
        let value = match self.peek() {
            b's' => {
                self.literal(b"stringValue\":")?;
                Scalar::Text(self.string()?)
            }
            b'i' => {
                self.literal(b"intValue\":")?;
                Scalar::Integer(self.signed()?)
            }
            b'd' => {
                self.literal(b"doubleValue\":")?;
                Scalar::Double(self.double()?)
            }
            b'b' => {
                self.literal(b"boolValue\":")?;
                Scalar::Bool(self.boolean()?)
            }
            _ => return None,
        };
        self.literal(b"}}")?;
        self.count(2)?;
        Some((key, value))
    }

    /// Read `true` or `false`.
    pub fn boolean(&mut self) -> Option<bool> {
        let value = self.peek() == b't';
        self.literal(if value { b"true" } else { b"false" })?;
        Some(value)
    }

    /// Read an `int64`.
    #[inline]
    pub fn signed(&mut self) -> Option<i64> {
        match self.integer()? {
            (true, magnitude) if magnitude <= 1 << 63 => Some((magnitude as i64).wrapping_neg()),
            (true, _) => None,
            (false, magnitude) => i64::try_from(magnitude).ok(),
        }
    }

    /// Read a `uint64`.
    #[inline]
    pub fn unsigned(&mut self) -> Option<u64> {
        let (negative, magnitude) = self.integer()?;
        (!negative || magnitude == 0).then_some(magnitude)
    }

    /// Read an integer, as a number or a text; return whether it is negative, and its magnitude.
    #[inline]
    fn integer(&mut self) -> Option<(bool, u64)> {
        if self.peek() == b'"' {
            return self.quoted_integer();
        }
        match self.number()? {
            Number::Integer(negative, magnitude) => Some((negative, magnitude)),
            Number::Other(text) => {
                let value = nearest(text)?;
                let is_integer = value.trunc() == value && value.abs() < 18_446_744_073_709_551_616.0;
                is_integer.then_some((value < 0.0, value.abs() as u64))
            }
        }
    }

    /// Read a `double`, as a number or a text.
    pub fn double(&mut self) -> Option<f64> {
        if self.peek() == b'"' {
            return match self.string()?.plain()? {
                b"NaN" => Some(f64::NAN),
                b"Infinity" => Some(f64::INFINITY),
                b"-Infinity" => Some(f64::NEG_INFINITY),
                text if text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
                    nearest(text)
                }
                _ => None,
            };
        }
        match self.number()? {
            Number::Integer(false, magnitude) => Some(magnitude as f64),
            Number::Integer(true, magnitude) => Some(0.0 - magnitude as f64), // "-0" is the integer
            Number::Other(text) => nearest(text),
        }
    }

    /// Read a member of an enumeration, as its number or its name.
    pub fn member(&mut self, names: &[(&str, i32)]) -> Option<i32> {
        if self.peek() == b'"' {
            let name = self.string()?.plain()?;
            return names.iter().find(|(known, _)| known.as_bytes() == name).map(|&(_, number)| number);
        }
        i32::try_from(self.signed()?).ok()
    }
}
