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

/// Append a double: an integer where it is one, otherwise the fewest digits that are read as the same number.
pub fn write_double(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else if value.abs() < EXACT && value.trunc() == value && (value != 0.0 || value.is_sign_positive()) {
        write_i64(value as i64, out);
    } else {
        write_fraction(value, out);
    }
}

/// Append a number in the form that orjson gives it: fixed from 1e-5 to below 1e16, otherwise with an exponent.
fn write_fraction(value: f64, out: &mut Vec<u8>) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (first, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let places = usize::try_from(exponent.abs()).unwrap_or(0);
    let zeros = |count: usize| std::iter::repeat_n(b'0', count);
    match exponent {
        0..16 => {
            let (whole, rest) = fraction.split_at(places.min(fraction.len()));
            out.extend_from_slice(first.as_bytes());
            out.extend_from_slice(whole.as_bytes());
            out.extend(zeros(places - whole.len()));
            out.push(b'.');
            out.extend_from_slice(if rest.is_empty() { b"0" } else { rest.as_bytes() });
        }
        -5..0 => {
            out.extend_from_slice(b"0.");
            out.extend(zeros(places - 1));
            out.extend_from_slice(first.as_bytes());
            out.extend_from_slice(fraction.as_bytes());
        }
        _ => {
            out.extend_from_slice(mantissa.as_bytes());
            out.extend_from_slice(if exponent > 0 { b"e+" } else { b"e" });
            write_i64(i64::from(exponent), out);
        }
    }
}
