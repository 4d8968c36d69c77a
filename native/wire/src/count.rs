//! Counting items by the containers alone.

use crate::limits::{MAX_MESSAGES, max_skipped, too_many_fields, too_many_messages};
use crate::path::path;
use crate::{DecodeError, Signal, read_varint};

/// Return the number of items by walking the containers, or `None` where these are irregular.
///
/// # Errors
/// When a container is malformed, with the offset; does not look into items.
pub fn count(signal: Signal, data: &[u8]) -> Result<Option<usize>, DecodeError> {
    let mut counter = Counter { path: path(signal), found: [0; 5], skipped: [0; 5], irregular: false };
    let counted = counter.container(data, 0, 0);
    if counter.irregular {
        return Ok(None);
    }
    counted?;
    Ok(counter.found.get(counter.path.len() - 1).copied())
}

struct Counter {
    path: &'static [u32],
    found: [usize; 5],
    skipped: [usize; 5],
    /// Groups, several members of a oneof: another walk must say.
    irregular: bool,
}

impl Counter {
    fn container(&mut self, buf: &[u8], start: usize, depth: usize) -> Result<(), DecodeError> {
        let children = self.path.get(depth).copied().unwrap_or_default();
        let last = depth + 1 == self.path.len();
        let mut members = 0;
        let mut pos = start;
        while pos < buf.len() {
            let tag = pos;
            let (key, value) = read_varint(buf, tag, buf.len())?;
            let end = self.end(buf, key, tag, value)?;
            if key & 7 == 2 && key < 0x100 && children >> (key >> 3) & 1 == 1 {
                members += 1;
                self.count_found(depth, tag)?;
                if !last {
                    let (_, body) = read_varint(buf, value, buf.len())?;
                    let inner = self.container(buf.get(..end).unwrap_or_default(), body, depth + 1);
                    // What is wrong in a metric's data counts for nothing where another member of the oneof follows.
                    self.irregular |= inner.is_err() && children.count_ones() > 1;
                    inner?;
                }
            } else {
                self.count_skipped(depth, tag)?;
            }
            pos = end;
        }
        self.irregular |= children.count_ones() > 1 && members > 1;
        Ok(())
    }

    /// Return where the value of a field ends.
    #[inline]
    fn end(&mut self, buf: &[u8], key: u64, tag: usize, value: usize) -> Result<usize, DecodeError> {
        if key >> 3 == 0 || key >> 3 >= 1 << 29 {
            return Err(DecodeError::new("illegal field number", tag));
        }
        let end = match key & 7 {
            0 => self.whole(buf, value)?.1,
            1 => value + 8,
            2 => {
                let (length, body) = self.whole(buf, value)?;
                usize::try_from(length).ok().and_then(|length| body.checked_add(length)).unwrap_or(usize::MAX)
            }
            5 => value + 4,
            3 => {
                self.irregular = true;
                usize::MAX
            }
            other => return Err(DecodeError::new(format!("illegal wire type {other}"), tag)),
        };
        if end > buf.len() {
            return Err(DecodeError::new("a field is longer than what contains it", tag));
        }
        Ok(end)
    }

    /// Read a number; what does not fit into 64 bits is irregular.
    #[inline]
    fn whole(&mut self, buf: &[u8], pos: usize) -> Result<(u64, usize), DecodeError> {
        let (value, end) = read_varint(buf, pos, buf.len())?;
        self.irregular |= end - pos == 10;
        Ok((value, end))
    }

    #[inline]
    fn count_found(&mut self, depth: usize, tag: usize) -> Result<(), DecodeError> {
        if let Some(found) = self.found.get_mut(depth) {
            *found += 1;
            if *found > MAX_MESSAGES {
                return Err(too_many_messages(tag));
            }
        }
        Ok(())
    }

    #[inline]
    fn count_skipped(&mut self, depth: usize, tag: usize) -> Result<(), DecodeError> {
        if let Some(skipped) = self.skipped.get_mut(depth) {
            *skipped += 1;
            if *skipped > max_skipped(depth) {
                return Err(too_many_fields(tag));
            }
        }
        Ok(())
    }
}
