//! What is regular, what is irregular, what is refused and where.

mod support;

use otlp_wire::limits::{MAX_MESSAGES, MAX_NESTING, MAX_SKIPPED};
use otlp_wire::{Decoded, Index, Signal, count, decode};
use support::{ITEM, attribute, field, fixed, index, inside, number, span};

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

fn is_irregular(signal: Signal, data: &[u8]) -> bool {
    matches!(decode(signal, data), Ok(Decoded::Irregular))
}

#[test]
fn nothing_is_a_request() {
    for signal in SIGNALS {
        assert!(index(signal, b"").items().is_empty());
        assert_eq!(count(signal, b""), Ok(Some(0)));
    }
}

#[test]
fn messages_lie_where_the_index_says() {
    let item = [field(1, [7; 16]), field(5, "chat"), attribute(9, "key", &field(1, "text"))].concat();
    let scope = [field(1, field(1, "scope")), field(2, &item), field(3, "schema"), field(2, b"")].concat();
    let data = [inside(&[1, 2], &scope), inside(&[1, 2], field(2, b""))].concat();
    let Index { depths, .. } = index(Signal::Traces, &data);
    let found: Vec<Vec<(&[u8], u32)>> = depths
        .iter()
        .map(|nodes| nodes.iter().map(|n| (&data[n.start as usize..n.end as usize], n.parent)).collect())
        .collect();
    assert_eq!(found[0], [(&*field(2, &scope), 0), (&*inside(&[2, 2], b""), 0)]);
    assert_eq!(found[1], [(&*scope, 0), (&*field(2, b""), 1)]);
    assert_eq!(found[2], [(&*item, 0), (&b""[..], 0), (&b""[..], 1)]);
    let first = depths[2][0];
    assert_eq!(data[first.tag as usize..first.end as usize], field(2, &item));
    assert_eq!(count(Signal::Traces, &data), Ok(Some(3)));
}

#[test]
fn points_lie_in_the_data_of_their_metric() {
    let gauge = [field(1, "g"), inside(&[5, 1], number(8, 1)), field(12, b"")].concat();
    let sum = [field(7, [field(1, b""), field(1, b""), number(2, 2), number(3, 1)].concat())].concat();
    let data = inside(&[1, 2], [field(2, gauge), field(2, b""), field(2, sum)].concat());
    let found = index(Signal::Metrics, &data);
    let parents: Vec<Vec<u32>> = found.depths.iter().map(|n| n.iter().map(|n| n.parent).collect()).collect();
    assert_eq!(parents, [vec![0], vec![0], vec![0, 0, 0], vec![0, 2], vec![0, 1, 1]]);
    assert_eq!(found.items().iter().map(|item| found.data_number(&data, item)).collect::<Vec<_>>(), [5, 7, 7]);
    assert_eq!(count(Signal::Metrics, &data), Ok(Some(3)));
}

#[test]
fn two_requests_one_after_the_other_are_one() {
    let one = inside(ITEM, field(5, "one"));
    let other = [inside(&[1], field(3, "x")), inside(ITEM, field(5, "other"))].concat();
    for signal in [Signal::Traces, Signal::Logs] {
        let one = if signal == Signal::Logs { inside(ITEM, field(3, "one")) } else { one.clone() };
        let other = if signal == Signal::Logs { inside(ITEM, field(3, "other")) } else { other.clone() };
        let mut joined = index(signal, &one);
        joined.append(index(signal, &other), one.len() as u32);
        assert_eq!(joined.depths, index(signal, &[one, other].concat()).depths);
    }
    let metric = |data| inside(&[1, 2, 2, data, 1], b"");
    let mut joined = index(Signal::Metrics, &metric(5));
    joined.append(index(Signal::Metrics, &metric(7)), metric(5).len() as u32);
    assert_eq!(joined.depths, index(Signal::Metrics, &[metric(5), metric(7)].concat()).depths);
}

#[test]
fn malformed_requests_name_the_place() {
    let text = |bytes: &[u8]| span(field(5, bytes));
    let cases: [(Vec<u8>, &str, usize); 18] = [
        // The value ends behind its tag; what follows belongs to the attribute.
        (
            span(field(9, [field(1, "a"), field(2, b"\x18"), field(31, "x")].concat())),
            "ends in the middle of a number",
            14,
        ),
        (b"\x0a".to_vec(), "ends in the middle of a number", 1),
        (b"\x0a\x80".to_vec(), "ends in the middle of a number", 1),
        ([b"\x0a".to_vec(), vec![0xFF; 10], vec![1]].concat(), "a number has more than ten bytes", 1),
        (b"\x0a\x05\x12".to_vec(), "a field is longer than what contains it", 0),
        (b"\x0a\x02\x12\x01".to_vec(), "a field is longer than what contains it", 2),
        (b"\x02\x00".to_vec(), "illegal field number", 0),
        (b"\x0e\x00".to_vec(), "illegal wire type 6", 0),
        (b"\x17\x00".to_vec(), "illegal wire type 7", 0),
        (span(b"\x2a"), "ends in the middle of a number", 7),
        (span(b"\x39abc"), "a field is longer than what contains it", 6),
        (span(b"\x85\x01abc"), "a field is longer than what contains it", 6),
        (span(b"\x30\x80"), "ends in the middle of a number", 7),
        (span(b"\xf8\x7f\x80"), "ends in the middle of a number", 8),
        (text(b"\xff"), "not an OTLP request: text is not UTF-8", 8),
        (text(b"abcdefg\xc3("), "not an OTLP request: text is not UTF-8", 15),
        (text(&[&[b'x'; 100][..], b"\xed\xa0\x80"].concat()), "not an OTLP request: text is not UTF-8", 108),
        (span(attribute(9, "key", &field(1, b"\xc0\x80"))), "not an OTLP request: text is not UTF-8", 17),
    ];
    for (data, message, offset) in cases {
        let error = decode(Signal::Traces, &data).expect_err(message);
        assert_eq!((&*error.message, error.offset), (message, offset));
    }
}

#[test]
fn every_cut_of_a_request_is_refused_or_ends_between_fields() {
    let item = [
        field(1, [1; 16]),
        field(2, [2; 8]),
        field(5, "name"),
        number(6, 3),
        fixed(7, 1),
        attribute(9, "a", &field(1, "b")),
        attribute(9, "big", &field(1, "x".repeat(300))),
        attribute(9, "n", &number(3, u64::MAX)),
        attribute(9, "list", &field(5, field(1, number(2, 1)))),
        field(11, field(2, "event")),
        field(13, field(1, [3; 16])),
        field(15, number(3, 2)),
        b"\x85\x01abcd".to_vec(),
    ]
    .concat();
    let data = span(&item);
    assert_eq!(index(Signal::Traces, &data).items().len(), 1);
    for end in 1..data.len() {
        assert!(decode(Signal::Traces, &data[..end]).is_err(), "{end}");
        assert!(count(Signal::Traces, &data[..end]).is_err(), "{end}");
    }
    let whole = (0..=item.len()).filter(|&end| decode(Signal::Traces, &span(&item[..end])).is_ok());
    assert_eq!(whole.count(), 14); // none, and each of thirteen fields
}

#[test]
fn odd_requests_are_left_to_others() {
    let group = b"\xfb\x7f\x08\x01\xfc\x7f";
    let odd: [Vec<u8>; 20] = [
        // Of ids, too, the last one counts.
        span([field(4, b"12"), field(5, ""), field(4, [1; 8])].concat()),
        span([field(4, b"12"), b"\xfb\x7f\xfc\x7f".to_vec()].concat()),
        span([field(5, "a"), field(5, "b")].concat()),
        span([field(15, b""), field(15, b"")].concat()),
        span(attribute(9, "k", &[field(1, "a"), number(2, 1)].concat())),
        span(attribute(9, "k", &[number(3, 1), number(3, 1)].concat())),
        span(field(9, [field(1, "k"), field(1, "k")].concat())),
        span(group),
        group.to_vec(),
        span(number(5, 1)),
        span(field(6, "x")),
        span(b"\xaa\x00\x01x"), // a tag in two bytes that needs one
        span(b"\xaa\x80\x80\x80\x10\x00"),
        span(number(6, 1 << 40)),
        span(number(10, 1 << 32)),
        span(attribute(9, "k", &number(2, 2))),
        span([b"\x30".to_vec(), vec![0xFF; 9], vec![0x7F]].concat()),
        inside(&[1], [field(1, b""), field(1, b"")].concat()),
        inside(&[1, 2], [field(1, b""), field(1, b"")].concat()),
        inside(&[1, 2], number(2, 1)),
    ];
    for data in odd {
        assert!(is_irregular(Signal::Traces, &data), "{data:x?}");
    }
    let metric = |data: &[u8]| inside(ITEM, data);
    let odd_metrics = [
        metric(&[field(5, b""), field(5, b"")].concat()),
        metric(&[field(5, b""), field(7, b"")].concat()),
        metric(&field(5, field(1, [fixed(4, 0), fixed(6, 0)].concat()))),
        metric(&field(9, field(1, fixed(6, 1)))), // numbers that are not packed
        metric(&field(9, field(1, field(6, b"1234567")))),
        metric(&field(9, field(1, [field(6, b""), field(6, b"")].concat()))),
        metric(&field(10, field(1, field(8, field(2, b"\x80"))))),
        // An id of a wrong length counts for nothing if another member of the oneof replaces what holds it.
        metric(&[inside(&[5, 1, 5], field(5, b"x")), field(7, b"")].concat()),
    ];
    for data in odd_metrics {
        assert!(is_irregular(Signal::Metrics, &data), "{data:x?}");
    }
}

#[test]
fn what_later_versions_add_is_regular() {
    for unknown in [&b"\xfa\x7f\x03new"[..], b"\xf8\x7f\x96\x01", b"\xfd\x7fabcd", b"\xf9\x7fabcdefgh", b"\xf2\x01\x00"]
    {
        for path in [&[][..], &[1], &[1, 2], ITEM, &[1, 1], &[1, 2, 2, 9], &[1, 2, 2, 9, 2], &[1, 2, 2, 11]] {
            let data = inside(path, unknown);
            index(Signal::Traces, &data);
        }
    }
}

#[test]
fn values_of_all_kinds_are_regular() {
    let kinds: [Vec<u8>; 12] = [
        b"".to_vec(),
        field(1, ""),
        field(1, "ключ"),
        field(1, "x".repeat(200_000)),
        number(2, 0),
        number(3, u64::MAX),
        fixed(4, 0),
        field(5, [field(1, b""), field(1, number(2, 1))].concat()),
        field(6, attribute(1, "k", b"")),
        field(7, b"\xff"),
        number(8, 1),
        b"\x0a\x83\x00abc".to_vec(), // a length in more bytes than it needs
    ];
    for value in kinds {
        for key in ["", "key", "ключ", &"k".repeat(200)] {
            index(Signal::Traces, &span(attribute(9, key, &value)));
            index(Signal::Logs, &inside(&[1, 2, 2, 5], &value));
        }
    }
    index(Signal::Traces, &span(field(9, [field(2, field(1, "value first")), field(1, "key")].concat())));
}

#[test]
fn ids_are_empty_or_complete() {
    let cases: [(Signal, &[u64], u64, usize, &str); 8] = [
        (Signal::Traces, ITEM, 1, 16, "trace_id of a span has 4 bytes instead of 16"),
        (Signal::Traces, ITEM, 2, 8, "span_id of a span has 4 bytes instead of 8"),
        (Signal::Traces, ITEM, 4, 8, "parent_span_id of a span has 4 bytes instead of 8"),
        (Signal::Traces, &[1, 2, 2, 13], 1, 16, "trace_id of a link has 4 bytes instead of 16"),
        (Signal::Traces, &[1, 2, 2, 13], 2, 8, "span_id of a link has 4 bytes instead of 8"),
        (Signal::Logs, ITEM, 9, 16, "trace_id of a log record has 4 bytes instead of 16"),
        (Signal::Logs, ITEM, 10, 8, "span_id of a log record has 4 bytes instead of 8"),
        (Signal::Metrics, &[1, 2, 2, 5, 1, 5], 4, 8, ""),
    ];
    for (signal, path, id, size, message) in cases {
        index(signal, &inside(path, field(id, b"")));
        index(signal, &inside(path, field(id, vec![1; size])));
        let wrong = inside(path, field(id, b"1234"));
        if message.is_empty() {
            assert!(is_irregular(signal, &wrong));
        } else {
            assert_eq!(decode(signal, &wrong).expect_err(message).message, message);
        }
    }
}

#[test]
fn nesting_ends_before_protobuf_does() {
    let nested = |depth| (0..depth).fold(field(1, "x"), |value, _| field(5, field(1, value)));
    for depth in 0..200 {
        // Request, resource, scope, span, attribute, value, and two for each list.
        assert_eq!(
            !is_irregular(Signal::Traces, &span(attribute(9, "k", &nested(depth)))),
            6 + 2 * depth <= MAX_NESTING
        );
    }
}

#[test]
fn numbers_of_messages_and_of_other_fields_are_bounded() {
    if cfg!(miri) {
        return;
    }
    let most = |field: &[u8], count: usize| field.repeat(count);
    for signal in SIGNALS {
        for (field, limit, message) in [
            (&b"\x0a\x00"[..], MAX_MESSAGES, "more than 1048576 messages of one kind; send smaller requests"),
            (&b"\x10\x00"[..], MAX_SKIPPED, "more than a million unknown fields; send smaller requests"),
        ] {
            let fits = most(field, limit);
            index(signal, &fits);
            assert!(count(signal, &fits).is_ok());
            let over = most(field, limit + 1);
            assert_eq!(decode(signal, &over).expect_err(message).message, message);
            assert_eq!(count(signal, &over).expect_err(message).message, message);
        }
    }
    let points = |count| inside(&[1, 2, 2, 7], most(b"\x0a\x00", count));
    index(Signal::Metrics, &points(MAX_MESSAGES));
    assert!(is_irregular(Signal::Metrics, &points(MAX_MESSAGES + 1)));
    assert_eq!(count(Signal::Metrics, &points(MAX_MESSAGES + 1)), Ok(None));
}

#[test]
fn counting_looks_at_containers_only() {
    assert_eq!(count(Signal::Traces, &span(b"\xff\xff")), Ok(Some(1)));
    assert_eq!(count(Signal::Traces, &[span(b""), b"\x0b\x0c".to_vec()].concat()), Ok(None));
    let metric = |data: &[&[u8]]| inside(ITEM, data.concat());
    assert_eq!(count(Signal::Metrics, &metric(&[&field(5, b""), &field(7, b"")])), Ok(None));
    assert_eq!(count(Signal::Metrics, &metric(&[&field(5, b"\xff")])), Ok(None));
}

#[test]
fn short_cuts_take_nothing_that_the_long_way_refuses() {
    const BYTES: [u8; 11] = [0x0A, 0x12, 0x10, 0x18, 0x21, 0x00, 0x01, 0x02, 0x03, 0x80, 0xFF];
    let length = if cfg!(miri) { 2 } else { 4 };
    for number in 0..BYTES.len().pow(length) {
        let tail = (0..length).map(|place| BYTES[number / BYTES.len().pow(place) % BYTES.len()]);
        let body: Vec<u8> = b"\x0a\x01k\x12".iter().copied().chain(tail).collect();
        if let Ok(Decoded::Regular(_)) = decode(Signal::Traces, &span(field(9, &body))) {
            index(Signal::Traces, &span(field(9, [body, field(31, "unknown")].concat())));
        }
    }
}
