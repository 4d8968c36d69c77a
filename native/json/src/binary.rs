//! Bytes as text: hexadecimal for ids, base64 for everything else (RFC 4648).

const BAD: u8 = 0xFF;
const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX_VALUES: [u8; 256] = hex_values();
const BASE64_VALUES: [u8; 256] = base64_values();

const fn hex_values() -> [u8; 256] {
    let mut values = [BAD; 256];
    let mut i = 0;
    while i < 16 {
        values[HEX[i] as usize] = i as u8;
        values[HEX[i].to_ascii_uppercase() as usize] = i as u8;
        i += 1;
    }
    values
}

const fn base64_values() -> [u8; 256] {
    let mut values = [BAD; 256];
    let mut i = 0;
    while i < 64 {
        values[BASE64[i] as usize] = i as u8;
        i += 1;
    }
    values
}

/// Append what hexadecimal digits say. `out` holds garbage after `None`.
#[inline]
pub fn read_hex(digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let mut wrong = 0;
    for &[high, low] in pairs {
        let (high, low) = (HEX_VALUES[usize::from(high)], HEX_VALUES[usize::from(low)]);
        wrong |= high | low;
        out.push(high << 4 | low & 0x0F);
    }
    (rest.is_empty() && wrong < 16).then_some(())
}

/// Append bytes as hexadecimal digits.
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Append what base64 says: the standard alphabet, padded, no bits left over. `out` holds garbage after `None`.
pub fn read_base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (groups, rest) = text.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let Some((&last, groups)) = groups.split_last() else {
        return Some(());
    };
    let mut wrong = 0;
    for group in groups {
        let [a, b, c, d] = group.map(|digit| BASE64_VALUES[usize::from(digit)]);
        wrong |= a | b | c | d;
        out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
    }
    let used = last.iter().position(|&digit| digit == b'=').unwrap_or(4);
    let padded = last.iter().skip(used).all(|&digit| digit == b'=');
    let mut digits = [0; 4];
    for (value, &digit) in digits.iter_mut().zip(last.iter().take(used)) {
        *value = BASE64_VALUES[usize::from(digit)];
        wrong |= *value;
    }
    let [a, b, c, d] = digits;
    let bytes = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
    let (whole, left) = bytes.split_at(used.saturating_sub(1));
    out.extend_from_slice(whole);
    (used >= 2 && padded && wrong < 64 && left.iter().all(|&byte| byte == 0)).then_some(())
}

/// Append bytes as base64.
pub fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |value: u8| BASE64[usize::from(value & 63)];
    let (groups, rest) = bytes.as_chunks::<3>();
    for &[a, b, c] in groups {
        out.extend_from_slice(&[digit(a >> 2), digit(a << 4 | b >> 4), digit(b << 2 | c >> 6), digit(c)]);
    }
    match *rest {
        [a] => out.extend_from_slice(&[digit(a >> 2), digit(a << 4), b'=', b'=']),
        [a, b] => out.extend_from_slice(&[digit(a >> 2), digit(a << 4 | b >> 4), digit(b << 2), b'=']),
        _ => {}
    }
}
