//! Which streams of a connection are closed, and how (RFC 9113, 5.1): what may still come on them.

use std::collections::{HashSet, VecDeque};

use super::frames::{ErrorCode, Fault, protocol};

/// Streams cut short that are remembered; what comes on older ones is ignored.
const MAX_CUT: usize = 1024;
/// Gaps between stream numbers that are remembered; clients have no reason to leave any.
const MAX_GAPS: usize = 16;

/// Remembers of closed streams only what is not plain: those that we ended before the client did.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The highest stream that the client opened.
    pub last: u32,
    cut: HashSet<u32>,
    order: VecDeque<u32>,
    forgotten: u32,
    gaps: VecDeque<(u32, u32)>,
}

impl History {
    /// Note a new stream; false if it is none.
    pub(crate) fn open(&mut self, id: u32) -> Result<bool, Fault> {
        if id <= self.last {
            return Ok(false);
        }
        if id & 1 == 0 {
            return Err(protocol("streams of clients have odd numbers"));
        }
        if id > self.last + 2 {
            if self.gaps.len() >= MAX_GAPS {
                self.gaps.pop_front();
            }
            self.gaps.push_back((self.last + 1, id - 1));
        }
        self.last = id;
        Ok(true)
    }

    /// Note that we closed a stream on which the client may still be sending.
    pub(crate) fn cut(&mut self, id: u32) {
        if self.cut.insert(id) {
            self.order.push_back(id);
        }
        if self.cut.len() > MAX_CUT || self.order.len() > 4 * MAX_CUT {
            while let Some(oldest) = self.order.pop_front() {
                if self.cut.remove(&oldest) {
                    self.forgotten = self.forgotten.max(oldest);
                    break;
                }
            }
        }
    }

    /// Note that the client will send nothing more on a stream.
    pub(crate) fn end(&mut self, id: u32) {
        if !self.cut.is_empty() {
            self.cut.remove(&id);
        }
    }

    /// Refuse frames on a stream that the client never opened.
    pub(crate) fn check_opened(&self, id: u32) -> Result<(), Fault> {
        if id > self.last || id & 1 == 0 {
            return Err(protocol("a frame on a stream that was never opened"));
        }
        Ok(())
    }

    /// Take data or headers on a closed stream only if they may have crossed our end of it; `ended`: the last. For the
    /// client that ended the stream itself, this is no race.
    pub(crate) fn check_late(&mut self, id: u32, ended: bool) -> Result<(), Fault> {
        self.check_opened(id)?;
        if self.cut.contains(&id) {
            if ended {
                self.end(id);
            }
        } else if self.gaps.iter().any(|&(begin, end)| (begin..=end).contains(&id)) {
            return Err(protocol("a stream with a lower number than the last"));
        } else if id > self.forgotten {
            return Err(Fault::Connection(ErrorCode::StreamClosed, "a frame on a closed stream"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_odd_and_rising_numbers() {
        let mut history = History::default();
        assert_eq!(history.open(1), Ok(true));
        assert!(history.open(4).is_err());
        assert_eq!(history.open(7), Ok(true));
        assert_eq!(history.open(3), Ok(false));
        assert!(history.check_late(3, false).is_err(), "a gap");
        assert!(history.check_opened(9).is_err());
    }

    #[test]
    fn what_was_cut_may_go_on_until_its_end() {
        let mut history = History::default();
        history.open(1).unwrap();
        history.cut(1);
        assert_eq!(history.check_late(1, false), Ok(()));
        assert_eq!(history.check_late(1, true), Ok(()));
        assert!(history.check_late(1, false).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for id in (1..100_000).step_by(2) {
            history.open(id).unwrap();
            history.cut(id);
            history.end(id);
            history.cut(id);
        }
        assert!(history.cut.len() <= MAX_CUT && history.order.len() <= 4 * MAX_CUT + 1);
        assert_eq!(history.check_late(1, false), Ok(()), "forgotten ones are ignored");
    }
}
