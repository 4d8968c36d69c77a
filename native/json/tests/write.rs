//! The exact text, and which requests are left to the reference.

use otlp_json::to_json;
use otlp_wire::Signal;

/// A request of one span with these fields, which are few.
fn span(fields: &[u8]) -> Vec<u8> {
    let mut data = fields.to_vec();
    for tag in [0x12, 0x12, 0x0A] {
        data.splice(0..0, [tag, data.len() as u8]);
    }
    data
}

fn attribute(value: &[u8]) -> Vec<u8> {
    let size = value.len() as u8;
    span(&[&[0x4A, size + 2, 0x12, size], value].concat())
}

fn text(data: &[u8]) -> String {
    String::from_utf8(to_json(Signal::Traces, data).expect("regular")).expect("UTF-8")
}

fn span_text(fields: &[u8]) -> String {
    let all = text(&span(fields));
    let inner = all.strip_prefix(r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"#);
    inner.and_then(|inner| inner.strip_suffix("}]}]}]}")).expect(&all).to_owned()
}

fn value_text(value: &[u8]) -> String {
    let all = text(&attribute(value));
    let (_, inner) = all.split_once(r#""attributes":[{"value":{"#).expect(&all);
    inner.strip_suffix(r#"}}],"status":{}}]}]}]}"#).expect(&all).to_owned()
}

#[test]
fn fields_are_written() {
    let cases: &[(&[u8], &str)] = &[
        (b"", r#""status":{}"#),
        (b"\x0A\x02\xAB\0", r#""traceId":"ab00","status":{}"#),
        (b"\x12\x08\0\0\0\0\0\0\0\0", r#""status":{}"#),
        (b"\x2A\x01x\x1A\x01y", r#""traceState":"y","name":"x","status":{}"#),
        (b"\x30\x03\x85\x01\x07\0\0\0", r#""flags":7,"kind":3,"status":{}"#),
        (b"\x30\0\x85\x01\0\0\0\0\x2A\0", r#""status":{}"#),
        (b"\x30\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", r#""kind":-1,"status":{}"#),
        (b"\x39\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", r#""startTimeUnixNano":"18446744073709551615","status":{}"#),
        (b"\x7A\x02\x18\x02", r#""status":{"code":2}"#),
        (b"\x5A\0\x2A\x01x\x5A\x03\x12\x01e", r#""name":"x","events":[{},{"name":"e"}],"status":{}"#),
        (b"\xFA\x7F\x03new\x2A\x01x", r#""name":"x","status":{}"#),
    ];
    for (fields, expected) in cases {
        assert_eq!(span_text(fields), *expected);
    }
}

#[test]
fn values_are_written() {
    let double = |value: f64| [&[0x21][..], &value.to_le_bytes()].concat();
    let mut cases: Vec<(Vec<u8>, String)> = [
        (&b""[..], ""),
        (b"\x0A\0", r#""stringValue":"""#),
        (b"\x10\0", r#""boolValue":false"#),
        (b"\x10\x01", r#""boolValue":true"#),
        (b"\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", r#""intValue":"-9223372036854775808""#),
        (b"\x3A\0", r#""bytesValue":"""#),
        (b"\x3A\x01\xFF", r#""bytesValue":"/w==""#),
        (b"\x3A\x02\xFF\0", r#""bytesValue":"/wA=""#),
        (b"\x3A\x03\xFF\0\xFB", r#""bytesValue":"/wD7""#),
        (b"\x2A\0", r#""arrayValue":{}"#),
        (b"\x2A\x06\x0A\0\x0A\x02\x10\x01", r#""arrayValue":{"values":[{},{"boolValue":true}]}"#),
        (b"\x32\x05\x0A\x03\x0A\x01a", r#""kvlistValue":{"values":[{"key":"a","value":{}}]}"#),
    ]
    .map(|(value, expected)| (value.to_vec(), expected.to_owned()))
    .to_vec();
    let escaped = "\"stringValue\":\"\\u0000\\u001f\u{7F}\\\"\\\\\\né\"";
    cases.push((b"\x0A\x08\0\x1F\x7F\"\\\n\xC3\xA9".to_vec(), escaped.to_owned()));
    for (number, expected) in [
        (0.0, "0"),
        (-0.0, "-0.0"),
        (0.5, "0.5"),
        (-3.0, "-3"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (9_007_199_254_740_992.0, "9007199254740992.0"),
        (1e16, "1e+16"),
        (-1.5e16, "-1.5e+16"),
        (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
        (100_000_000_000_000.5, "100000000000000.5"),
        (1e-5, "0.00001"),
        (1.5e-6, "1.5e-6"),
        (0.000_123_456_789, "0.000123456789"),
        (f64::from_bits(0x3FF8_0068_0000_0000), "1.5000991821289062"), // as near as ...63
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::NAN, r#""NaN""#),
        (f64::NEG_INFINITY, r#""-Infinity""#),
    ] {
        cases.push((double(number), format!(r#""doubleValue":{expected}"#)));
    }
    for (value, expected) in cases {
        assert_eq!(value_text(&value), expected, "{value:x?}");
    }
}

#[test]
fn irregular_requests_are_left_to_the_reference() {
    let fields: &[&[u8]] = &[
        b"\x2A\x02x",                                            // cut off
        b"\x2A\x01\xFF",                                         // not UTF-8
        b"\x2A\x01x\x2A\x01y",                                   // twice
        b"\x28\x01",                                             // another wire type
        b"\x30\x80\x80\x80\x80\x10",                             // more than 32 bits
        b"\xAA\x00\x01x",                                        // a tag in more bytes than it needs
        b"\x2A\x81\x00x",                                        // a length in more bytes than it needs
        b"\xFB\x7F\x08\x01\xFC\x7F",                             // a group
        b"\x02\x01x",                                            // field number 0
        b"\x39\xFF",                                             // cut off
        b"\x60\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", // a number of eleven bytes
    ];
    for fields in fields {
        assert_eq!(to_json(Signal::Traces, &span(fields)), None, "{fields:x?}");
    }
    for value in [&b"\x10\x01\x18\x01"[..], b"\x10\x02"] {
        assert_eq!(to_json(Signal::Traces, &attribute(value)), None, "{value:x?}");
    }
    let mut deep = Vec::new();
    for _ in 0..60 {
        for tag in [0x0A, 0x2A] {
            let mut length = Vec::new();
            otlp_wire::put_varint(&mut length, deep.len() as u64);
            deep.splice(0..0, [vec![tag], length].concat());
        }
    }
    let mut data = deep;
    for tag in [0x12, 0x4A, 0x12, 0x12, 0x0A] {
        let mut length = Vec::new();
        otlp_wire::put_varint(&mut length, data.len() as u64);
        data.splice(0..0, [vec![tag], length].concat());
    }
    assert_eq!(to_json(Signal::Traces, &data), None);
}

#[test]
fn too_many_containers_are_left_to_the_reference() {
    assert!(to_json(Signal::Traces, &[0x0A, 0].repeat(1 << 20)).is_some());
    assert_eq!(to_json(Signal::Traces, &[0x0A, 0].repeat((1 << 20) + 1)), None);
}
