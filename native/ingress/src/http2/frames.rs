//! Frames of HTTP/2 (RFC 9113, section 6): names, building, and reading the ones that are more than bytes.

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const HEAD_BYTES: usize = 9;
/// `SETTINGS_MAX_FRAME_SIZE`, ours and the least that any peer takes.
pub(crate) const MAX_PAYLOAD: usize = 16384;
const LARGEST_PAYLOAD: u32 = (1 << 24) - 1;
pub(crate) const DEFAULT_WINDOW: i64 = 65535;
pub(crate) const MAX_WINDOW: i64 = (1 << 31) - 1;
pub(crate) const SETTING_BYTES: usize = 6;

pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) mod flag {
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

pub(crate) mod setting {
    pub(crate) const ENABLE_PUSH: u16 = 2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 5;
    pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// Section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    NoError = 0,
    Protocol = 1,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    RefusedStream = 7,
    Compression = 9,
    EnhanceYourCalm = 11,
}

/// Why something cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection; goes to the client in GOAWAY.
    Connection(ErrorCode, &'static str),
    /// One stream; goes to the client in RST_STREAM.
    Stream(ErrorCode),
}

pub(crate) fn protocol(message: &'static str) -> Fault {
    Fault::Connection(ErrorCode::Protocol, message)
}

pub(crate) fn frame_size(message: &'static str) -> Fault {
    Fault::Connection(ErrorCode::FrameSize, message)
}

/// Append the head of a frame.
pub(crate) fn put_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let id = stream.to_be_bytes();
    out.extend_from_slice(&[
        (length >> 16) as u8,
        (length >> 8) as u8,
        length as u8,
        kind,
        flags,
        id[0],
        id[1],
        id[2],
        id[3],
    ]);
}

/// Append a frame.
pub(crate) fn put_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    put_head(out, payload.len(), kind, flags, stream);
    out.extend_from_slice(payload);
}

pub(crate) fn put_goaway(out: &mut Vec<u8>, last: u32, code: ErrorCode, message: &str) {
    put_head(out, 8 + message.len(), kind::GOAWAY, 0, 0);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&(code as u32).to_be_bytes());
    out.extend_from_slice(message.as_bytes());
}

pub(crate) fn put_reset(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    put_frame(out, kind::RST_STREAM, 0, stream, &(code as u32).to_be_bytes());
}

/// Append WINDOW_UPDATE; stream 0 is the connection.
pub(crate) fn put_window_update(out: &mut Vec<u8>, stream: u32, increment: i64) {
    put_frame(out, kind::WINDOW_UPDATE, 0, stream, &(increment as u32).to_be_bytes());
}

pub(crate) fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    put_head(out, settings.len() * SETTING_BYTES, kind::SETTINGS, 0, 0);
    for (key, value) in settings {
        out.extend_from_slice(&key.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn word(payload: &[u8], at: usize) -> u32 {
    payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Check the settings of a client; return its window for streams if it names one.
pub(crate) fn read_settings(payload: &[u8]) -> Result<Option<i64>, Fault> {
    if !payload.len().is_multiple_of(SETTING_BYTES) {
        return Err(frame_size("SETTINGS of a wrong size"));
    }
    let mut window = None;
    for one in payload.chunks_exact(SETTING_BYTES) {
        let (key, value) = (u16::from_be_bytes([one[0], one[1]]), word(one, 2));
        match key {
            setting::INITIAL_WINDOW_SIZE if i64::from(value) > MAX_WINDOW => {
                return Err(Fault::Connection(ErrorCode::FlowControl, "INITIAL_WINDOW_SIZE too large"));
            }
            setting::INITIAL_WINDOW_SIZE => window = Some(i64::from(value)),
            setting::ENABLE_PUSH if value > 1 => return Err(protocol("ENABLE_PUSH is neither 0 nor 1")),
            setting::MAX_FRAME_SIZE if !(MAX_PAYLOAD as u32..=LARGEST_PAYLOAD).contains(&value) => {
                return Err(protocol("MAX_FRAME_SIZE out of range"));
            }
            _ => {}
        }
    }
    Ok(window)
}

/// Return the content of a padded frame (6.1).
pub(crate) fn unpad(payload: &[u8]) -> Result<&[u8], Fault> {
    let wrong = protocol("padding is longer than the frame");
    let (&padding, rest) = payload.split_first().ok_or(wrong)?;
    rest.len().checked_sub(usize::from(padding)).and_then(|length| rest.get(..length)).ok_or(wrong)
}

/// Return the block fragment of HEADERS behind its priority fields (6.2).
pub(crate) fn without_priority(stream: u32, payload: &[u8]) -> Result<&[u8], Fault> {
    let fragment = payload.get(5..).ok_or(frame_size("HEADERS too short for its priority"))?;
    if word(payload, 0) & MAX_WINDOW as u32 == stream {
        return Err(protocol("a stream that depends on itself"));
    }
    Ok(fragment)
}

pub(crate) fn check_priority(stream: u32, payload: &[u8]) -> Result<(), Fault> {
    if stream == 0 {
        return Err(protocol("PRIORITY without a stream"));
    }
    if payload.len() != 5 {
        return Err(Fault::Stream(ErrorCode::FrameSize));
    }
    if word(payload, 0) & MAX_WINDOW as u32 == stream {
        return Err(Fault::Stream(ErrorCode::Protocol));
    }
    Ok(())
}

pub(crate) fn check_goaway(stream: u32, payload: &[u8]) -> Result<(), Fault> {
    if stream != 0 {
        return Err(protocol("GOAWAY on a stream"));
    }
    if payload.len() < 8 {
        return Err(frame_size("GOAWAY of a wrong size"));
    }
    Ok(())
}

/// Return the 31-bit number that is the whole payload.
pub(crate) fn read_word(payload: &[u8], message: &'static str) -> Result<i64, Fault> {
    if payload.len() != 4 {
        return Err(frame_size(message));
    }
    Ok(i64::from(word(payload, 0)) & MAX_WINDOW)
}
