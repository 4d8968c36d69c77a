//! What text is taken, what it becomes, and what is left to the reference.

use otlp_json::{from_json, to_json};
use otlp_wire::Signal;

fn span(fields: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#)
}

fn value(text: &str) -> String {
    span(&format!(r#""attributes":[{{"key":"k","value":{text}}}]"#))
}

/// The fields of the one span that a text becomes.
fn read_span(fields: &str) -> Vec<u8> {
    let made = from_json(Signal::Traces, span(fields).as_bytes()).expect(fields);
    made.get(6..).expect("three short lengths").to_vec()
}

/// The fields of the one value of the one attribute that a text becomes.
fn read_value(text: &str) -> Vec<u8> {
    let made = from_json(Signal::Traces, value(text).as_bytes()).expect(text);
    made.get(13..).unwrap_or_default().to_vec()
}

#[test]
fn fields_are_encoded() {
    let id: Vec<u8> = (0..16).collect();
    let cases: &[(&str, &[u8])] = &[
        ("", b""),
        (r#""traceId":"000102030405060708090a0B0C0D0e0f""#, &[&[0x0A, 16], &id[..]].concat()),
        (r#""traceId":"""#, b""),
        (r#""spanId":"0000000000000000""#, b"\x12\x08\0\0\0\0\0\0\0\0"),
        (r#""name":"x""#, b"\x2A\x01x"),
        (r#""name":"\u0000""#, b"\x2A\x01\0"),
        (r#""name":"""#, b""),
        (r#""name":null"#, b""),
        (r#""name" : "é" , "kind" : 3"#, "\x2A\x02é\x30\x03".as_bytes()),
        (r#""name":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u20AC""#, "\x2A\x11\"\\/\x08\x0C\n\r\té😀€".as_bytes()),
        (r#""kind":"SPAN_KIND_CLIENT""#, b"\x30\x03"),
        (r#""kind":77"#, b"\x30\x4D"),
        (r#""kind":-1"#, b"\x30\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
        (r#""kind":0"#, b""),
        (r#""flags":"7""#, b"\x85\x01\x07\0\0\0"),
        (r#""flags":4294967295"#, b"\x85\x01\xFF\xFF\xFF\xFF"),
        (r#""startTimeUnixNano":"18446744073709551615""#, b"\x39\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
        (r#""start_time_unix_nano":18446744073709551615"#, b"\x39\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
        (r#""startTimeUnixNano":"+0010""#, b"\x39\x0A\0\0\0\0\0\0\0"),
        (r#""startTimeUnixNano":1e1"#, b"\x39\x0A\0\0\0\0\0\0\0"),
        (r#""startTimeUnixNano":-0.0"#, b""),
        (r#""droppedLinksCount":300"#, b"\x70\xAC\x02"),
        (r#""status":{}"#, b""),
        (r#""status":{"code":null,"unknown":1}"#, b""),
        (r#""status":{"code":0}"#, b"\x7A\0"),
        (r#""status":{"code":"STATUS_CODE_ERROR"}"#, b"\x7A\x02\x18\x02"),
        (r#""events":[]"#, b""),
        (r#""events":[{},{"name":"e"}]"#, b"\x5A\0\x5A\x03\x12\x01e"),
        (r#""new":[1,-2.5e+3,"a\n",true,false,null,{"a":{},"a":[]}],"name":"x""#, b"\x2A\x01x"),
    ];
    for (fields, expected) in cases {
        assert_eq!(read_span(fields), *expected, "{fields}");
    }
}

#[test]
fn values_are_encoded() {
    let cases: &[(&str, &[u8])] = &[
        (r#"{"stringValue":""}"#, b"\x0A\0"),
        (r#"{"boolValue":false}"#, b"\x10\0"),
        (r#"{"boolValue":true}"#, b"\x10\x01"),
        (r#"{"intValue":"-1"}"#, b"\x18\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
        (r#"{"intValue":-9223372036854775808}"#, b"\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
        (r#"{"stringValue":null,"intValue":0}"#, b"\x18\0"),
        (r#"{"doubleValue":0}"#, b"\x21\0\0\0\0\0\0\0\0"),
        (r#"{"doubleValue":-0}"#, b"\x21\0\0\0\0\0\0\0\0"),
        (r#"{"doubleValue":-0.0}"#, b"\x21\0\0\0\0\0\0\0\x80"),
        (r#"{"doubleValue":"-0"}"#, b"\x21\0\0\0\0\0\0\0\x80"),
        (r#"{"doubleValue":"+.5e1"}"#, b"\x21\0\0\0\0\0\0\x14\x40"),
        (r#"{"doubleValue":"NaN"}"#, b"\x21\0\0\0\0\0\0\xF8\x7F"),
        (r#"{"doubleValue":"-Infinity"}"#, b"\x21\0\0\0\0\0\0\xF0\xFF"),
        (r#"{"bytesValue":"/wA="}"#, b"\x3A\x02\xFF\0"),
        (r#"{"bytesValue":""}"#, b"\x3A\0"),
        (r#"{"arrayValue":{}}"#, b"\x2A\0"),
        (r#"{"arrayValue":{"values":[{},{"boolValue":true}]}}"#, b"\x2A\x06\x0A\0\x0A\x02\x10\x01"),
        (r#"{"kvlistValue":{"values":[{"key":"a"}]}}"#, b"\x32\x05\x0A\x03\x0A\x01a"),
    ];
    for (text, expected) in cases {
        assert_eq!(read_value(text), *expected, "{text}");
    }
}

#[test]
fn white_space_changes_nothing() {
    for size in [0, 1, 60, 96, 101, 110, 116, 117, 118, 119, 120, 122, 124, 127, 128, 16_300, 16_380, 16_384, 40_000] {
        let text = "x".repeat(size);
        for value in [
            format!(r#""stringValue":"{text}""#),
            format!(r#""stringValue":"{text}\n""#),
            format!(r#""stringValue":"{}""#, r"\u00e9".repeat(size)),
            r#""intValue":"-7""#.to_owned(),
            r#""boolValue":true"#.to_owned(),
            r#""doubleValue":0.5"#.to_owned(),
        ] {
            for key in ["", "k", &text] {
                let tight = span(&format!(r#""name":"n","attributes":[{{"key":"{key}","value":{{{value}}}}}]"#));
                let loose = tight.replace(':', " : ").replace(',', "\n,\t").replace('}', "\r\n}");
                let made = from_json(Signal::Traces, tight.as_bytes());
                assert!(made.is_some(), "{tight}");
                assert_eq!(from_json(Signal::Traces, loose.as_bytes()), made, "{tight}");
            }
        }
    }
}

#[test]
fn lists_of_numbers_are_packed() {
    let text = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[
        {"bucketCounts":["1",2],"explicitBounds":[0.5],"sum":0}]}}]}]}]}"#;
    let made = from_json(Signal::Metrics, text.as_bytes()).expect(text);
    let point = b"\x32\x10\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x3A\x08\0\0\0\0\0\0\xE0\x3F\x29\0\0\0\0\0\0\0\0";
    assert!(made.ends_with(point), "{made:x?}");
    assert_eq!(made.len(), 10 + point.len());
}

#[test]
fn the_unusual_is_left_to_the_reference() {
    let texts = [
        "",
        "{",
        "[]",
        "null",
        "{}}",
        "\u{FEFF}{}",
        r#"{"resourceSpans":{}}"#,
        r#"{"resourceSpans":[null]}"#,
        r#"{"resourceSpans":[{}],"resource_spans":[]}"#,
        r#"{"resourceSpans":[],}"#,
        r#"{"resourceSpans":[,]}"#,
        r#"{"resourceSpans":[{}{}]}"#,
        r#"{"resource\u0053pans":[]}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":-}"#,
        r#"{"a":1e999}"#,
        r#"{"a":nul}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00\ud800"}"#,
        "{\"a\":\"\n\"}",
    ];
    for text in texts {
        assert_eq!(from_json(Signal::Traces, text.as_bytes()), None, "{text}");
    }
    let fields = [
        r#""traceId":"ab""#,
        r#""traceId":"zz0102030405060708090a0b0c0d0e0f""#,
        r#""traceId":5"#,
        r#""name":5"#,
        r#""name":"a","name":"b""#,
        r#""kind":"CLIENT""#,
        r#""kind":"3""#,
        r#""kind":2147483648"#,
        r#""flags":-1"#,
        r#""flags":true"#,
        r#""startTimeUnixNano":"1_000""#,
        r#""startTimeUnixNano":"18446744073709551616""#,
        r#""startTimeUnixNano":1.5"#,
        r#""startTimeUnixNano":"""#,
        r#""attributes":{}"#,
        r#""status":[]"#,
    ];
    for text in fields {
        assert_eq!(from_json(Signal::Traces, span(text).as_bytes()), None, "{text}");
    }
    let values = [
        r#""text""#,
        r#"{"stringValue":"a","intValue":1}"#,
        r#"{"boolValue":"true"}"#,
        r#"{"intValue":9223372036854775808}"#,
        r#"{"doubleValue":"inf"}"#,
        r#"{"doubleValue":"1e999"}"#,
        r#"{"doubleValue":"."}"#,
        r#"{"bytesValue":"_-"}"#,
        r#"{"bytesValue":"/w"}"#,
        r#"{"bytesValue":"/x=="}"#,
        r#"{"bytesValue":"===="}"#,
        r#"{"bytesValue":"/w==/w=="}"#,
        r#"{"arrayValue":{"values":[null]}}"#,
    ];
    for text in values {
        assert_eq!(from_json(Signal::Traces, value(text).as_bytes()), None, "{text}");
    }
    assert_eq!(from_json(Signal::Traces, b"{\"a\":\"\xFF\"}"), None);
}

#[test]
fn nesting_ends_where_protobufs_does() {
    for depth in 40..60 {
        let text = r#"{"arrayValue":{"values":["#.repeat(depth) + r#"{"stringValue":"x"}"# + &"]}}".repeat(depth);
        let text = format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{text}}}]}}}}]}}"#);
        assert_eq!(from_json(Signal::Traces, text.as_bytes()).is_some(), depth <= 47, "{depth}");
    }
    for depth in 20..50 {
        let (open, close) = (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}");
        let text = value(&(open.repeat(depth) + r#"{"stringValue":"x"}"# + &close.repeat(depth)));
        assert_eq!(from_json(Signal::Traces, text.as_bytes()).is_some(), depth <= 31, "{depth}"); // 6 and 3 per list
    }
    for bracket in ["[", "{\"a\":"] {
        assert_eq!(from_json(Signal::Traces, format!("{{\"a\":{}", bracket.repeat(100_000)).as_bytes()), None);
    }
}

#[test]
fn too_many_values_are_left_to_the_reference() {
    let text = |count: usize| format!(r#"{{"resourceSpans":[{}{{}}]}}"#, "{},".repeat(count));
    assert!(from_json(Signal::Traces, text((1 << 22) - 3).as_bytes()).is_some());
    assert_eq!(from_json(Signal::Traces, text((1 << 22) - 2).as_bytes()), None);
}

#[test]
fn content_does_not_move_at_each_level() {
    let nested = |depth: usize, count: usize, size: usize| {
        let inner = vec![format!(r#"{{"stringValue":"{}"}}"#, "x".repeat(size)); count].join(",");
        let (open, close) = (r#"{"arrayValue":{"values":["#, "]}}");
        let text = value(&(open.repeat(depth) + &inner + &close.repeat(depth)));
        from_json(Signal::Traces, text.as_bytes())
    };
    assert!(nested(40, 1, 1_000_000).is_some());
    assert!(nested(3, 1000, 10).is_some());
    assert!(nested(40, 1000, 10).is_none()); // made for it: 30 KB that would move 80 times
}

#[test]
fn lengths_of_any_size_are_right() {
    for size in [0, 1, 100, 118, 119, 120, 125, 127, 128, 129, 16_000, 16_380, 16_384, 20_000, 2_097_152] {
        let text = value(&format!(r#"{{"stringValue":"{}\n{}"}}"#, "a".repeat(size), "\\u0061".repeat(size / 3)));
        let made = from_json(Signal::Traces, text.as_bytes()).expect("valid");
        let back = to_json(Signal::Traces, &made).expect("valid");
        let content = format!(r#"{}\n{}"#, "a".repeat(size), "a".repeat(size / 3));
        assert!(String::from_utf8(back).expect("UTF-8").contains(&content), "{size}");
    }
}
