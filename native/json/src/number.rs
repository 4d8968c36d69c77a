//! Numbers as JSON text.

/// Below, every double without fraction is exactly that integer; JSON does not need its `.0`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Append an integer.
#[inline]
pub fn write_u64(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        used += 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.split_at(20 - used).1);
}

/// Append an integer.
#[inline]
pub fn write_i64(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_u64(value.unsigned_abs(), out);
}

/// Append a double: an integer where it is one, otherwise the fewest digits that are read as the same number, in the
/// form that orjson gives them, which uses the same crate. The standard library rounds ties another way.
pub fn write_double(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else if value.abs() < EXACT && value.trunc() == value && (value != 0.0 || value.is_sign_positive()) {
        write_i64(value as i64, out);
    } else {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
}
