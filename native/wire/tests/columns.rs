//! Reading fields of validated requests.

mod support;

use otlp_wire::{Cell, Column, Fixed, Level, Signal, columns, fixed};
use support::{ITEM, attribute, field, index, inside, number, span};

/// Return columns of a request in a form that can be compared.
fn read(signal: Signal, data: &[u8], level: Level, wanted: &[Column<'_>]) -> Vec<Vec<String>> {
    let index = index(signal, data);
    let nested = index.nested(data, level);
    let rows = index.level(level).unwrap_or(&nested);
    let cells = columns(data, &index, level, rows.iter().copied(), wanted);
    (0..wanted.len()).map(|place| cells.column(place).map(show).collect()).collect()
}

fn show(cell: Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Cell::List(list) => format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(", ")),
        Cell::Map(pairs) => {
            let shown =
                pairs.iter().map(|(key, any)| format!("{}: {}", show(Cell::Text(key)), show(Cell::of_any(any))));
            format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn named(signal: Signal, level: Level, names: &[&str]) -> Vec<Column<'static>> {
    let find = |name: &&str| Column::Fixed(fixed(signal, level, name).unwrap_or_else(|| panic!("no {name}")));
    names.iter().map(find).collect()
}

#[test]
fn attributes_by_key_are_the_first_of_equal_ones() {
    let item = [
        attribute(9, "a", &field(1, "first")),
        attribute(9, "b", &number(3, u64::MAX)),
        attribute(9, "a", &field(1, "second")),
        attribute(9, "ключ", &field(5, [field(1, number(2, 1)), field(1, b"")].concat())),
        attribute(9, "empty", b""),
    ]
    .concat();
    let data = inside(&[1, 2], [field(2, item), field(2, b""), field(2, attribute(9, "a", &number(8, 3)))].concat());
    let keys = ["a", "b", "ключ", "empty", "none", "a"].map(|key| Column::Attribute(key.as_bytes()));
    let found = read(Signal::Traces, &data, Level::Item, &keys);
    assert_eq!(found[0], [r#""first""#, "Absent", "Absent"]);
    assert_eq!(found[1], ["Int(-1)", "Absent", "Absent"]);
    assert_eq!(found[2], ["[Bool(true), Absent]", "Absent", "Absent"]);
    assert_eq!(found[3], ["Absent"; 3]);
    assert_eq!(found[4], ["Absent"; 3]);
    assert_eq!(found[5], found[0]);
    let all = read(Signal::Traces, &data, Level::Item, &[Column::Attributes]);
    assert_eq!(
        all[0],
        [
            r#"{"a": "first", "b": Int(-1), "a": "second", "ключ": [Bool(true), Absent], "empty": Absent}"#,
            "{}",
            r#"{"a": Absent}"#,
        ]
    );
    assert_eq!(
        index(Signal::Traces, &data).repeated_keys(&data, Level::Item, index(Signal::Traces, &data).items()),
        [0]
    );
}

#[test]
fn fields_of_a_span_are_found_wherever_they_are() {
    let data = span(
        [
            field(15, [field(2, "why"), number(3, 2)].concat()),
            b"\x39\x05\0\0\0\0\0\0\0\x41\x03\0\0\0\0\0\0\0".to_vec(),
            number(6, 3),
            b"\x85\x01\x01\0\0\0".to_vec(),
            field(5, "chat"),
            field(2, [1; 8]),
        ]
        .concat(),
    );
    let names = [
        "status.code",
        "status.message",
        "duration_nanos",
        "kind",
        "flags",
        "name",
        "span_id",
        "trace_id",
        "trace_state",
    ];
    let found = read(Signal::Traces, &data, Level::Item, &named(Signal::Traces, Level::Item, &names));
    assert_eq!(
        found.concat(),
        [
            "Int(2)",
            r#""why""#,
            "Difference(3, 5)",
            "Int(3)",
            "Uint(1)",
            r#""chat""#,
            "Bytes([1, 1, 1, 1, 1, 1, 1, 1])",
            "Bytes([])",
            r#""""#,
        ]
    );
    let empty = read(Signal::Traces, &span(b""), Level::Item, &named(Signal::Traces, Level::Item, &names));
    assert_eq!(empty.concat()[..3], ["Uint(0)", r#""""#, "Difference(0, 0)"]);
}

#[test]
fn containers_show_what_their_resource_and_scope_say() {
    let resource = field(1, [attribute(1, "service.name", &field(1, "x")), number(2, 7)].concat());
    let scope = field(1, [field(1, "lib"), field(2, "1.0"), attribute(3, "k", &number(2, 0))].concat());
    let data = [field(1, [resource, field(2, [scope, field(3, "s")].concat())].concat()), field(1, b"")].concat();
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let mut wanted = named(signal, Level::Resource, &["schema_url", "dropped_attributes_count"]);
        wanted.push(Column::Attribute(b"service.name"));
        wanted.push(Column::Attributes);
        let found = read(signal, &data, Level::Resource, &wanted);
        assert_eq!(found[0], [r#""""#; 2]);
        assert_eq!(found[1], ["Uint(7)", "Uint(0)"]);
        assert_eq!(found[2], [r#""x""#, "Absent"]);
        assert_eq!(found[3], [r#"{"service.name": "x"}"#, "{}"]);
        let mut wanted = named(signal, Level::Scope, &["name", "version", "schema_url"]);
        wanted.push(Column::Attribute(b"k"));
        assert_eq!(
            read(signal, &data, Level::Scope, &wanted).concat(),
            [r#""lib""#, r#""1.0""#, r#""s""#, "Bool(false)"]
        );
    }
}

#[test]
fn metrics_say_what_their_data_are() {
    let kinds =
        [field(5, b""), field(7, [number(2, 2), number(3, 1)].concat()), field(9, number(2, 1)), field(11, b"")];
    let metrics = kinds.iter().map(|data| field(2, data)).chain([field(2, b""), field(2, field(10, b""))]);
    let data = inside(&[1, 2], metrics.collect::<Vec<_>>().concat());
    let names = ["type", "aggregation_temporality", "is_monotonic", "unit"];
    let found = read(Signal::Metrics, &data, Level::Metric, &named(Signal::Metrics, Level::Metric, &names));
    assert_eq!(
        found[0],
        [r#""gauge""#, r#""sum""#, r#""histogram""#, r#""summary""#, "Absent", r#""exponential_histogram""#]
    );
    assert_eq!(found[1], ["Absent", "Int(2)", "Int(1)", "Absent", "Absent", "Uint(0)"]);
    assert_eq!(found[2], ["Absent", "Bool(true)", "Absent", "Absent", "Absent", "Absent"]);
}

#[test]
fn points_differ_by_the_data_they_are_in() {
    let double = |number: u8, value: f64| [&[number << 3 | 1][..], &value.to_le_bytes()].concat();
    let key = |number| attribute(number, "k", &support::number(3, number));
    let points = [
        (5, [double(4, 1.5), key(7), number(8, 1)].concat()),
        (7, [vec![6 << 3 | 1, 255, 255, 255, 255, 255, 255, 255, 255], key(7)].concat()),
        (9, [vec![4 << 3 | 1, 3, 0, 0, 0, 0, 0, 0, 0], double(5, 2.5), key(9), number(10, 2)].concat()),
        (10, Vec::new()),
        (10, [key(1), number(10, 3)].concat()),
        (11, [key(7), number(8, 4)].concat()),
        (5, Vec::new()),
    ];
    let metrics: Vec<_> = points.into_iter().map(|(data, point)| inside(&[2, data, 1], point)).collect();
    let data = inside(&[1, 2], metrics.concat());
    let mut wanted = named(Signal::Metrics, Level::Item, &["value", "count", "sum", "flags"]);
    wanted.push(Column::Attribute(b"k"));
    let found = read(Signal::Metrics, &data, Level::Item, &wanted);
    let absent = "Absent";
    assert_eq!(found[0], ["Double(1.5)", "Int(-1)", absent, absent, absent, absent, absent]);
    assert_eq!(found[1], [absent, absent, "Uint(3)", "Uint(0)", "Uint(0)", "Uint(0)", absent]);
    assert_eq!(found[2], [absent, absent, "Double(2.5)", absent, absent, "Double(0.0)", absent]);
    assert_eq!(found[3], ["Uint(1)", "Uint(0)", "Uint(2)", "Uint(0)", "Uint(3)", "Uint(4)", "Uint(0)"]);
    assert_eq!(found[4], ["Int(7)", "Int(7)", "Int(9)", absent, "Int(1)", "Int(7)", absent]);
}

#[test]
fn events_and_links_are_rows_of_their_spans() {
    let spans = [
        field(
            2,
            [field(11, field(2, "e")), field(13, number(5, 1)), field(11, attribute(3, "k", &field(1, "v")))].concat(),
        ),
        field(2, b""),
        field(2, field(11, b"")),
    ];
    let data = [inside(&[1, 2], spans.concat()), inside(ITEM, field(11, b""))].concat();
    let index = index(Signal::Traces, &data);
    let events = index.nested(&data, Level::Event);
    assert_eq!(events.iter().map(|node| node.parent).collect::<Vec<_>>(), [0, 0, 2, 3]);
    assert_eq!(index.parents(&events, Level::Event, Level::Resource), Some(vec![0, 0, 0, 1]));
    assert_eq!(index.parents(&events, Level::Event, Level::Link), None);
    assert_eq!(index.nested(&data, Level::Link).len(), 1);
    let mut wanted = named(Signal::Traces, Level::Event, &["name"]);
    wanted.push(Column::Attribute(b"k"));
    let found = read(Signal::Traces, &data, Level::Event, &wanted);
    assert_eq!(found[0], [r#""e""#, r#""""#, r#""""#, r#""""#]);
    assert_eq!(found[1], ["Absent", r#""v""#, "Absent", "Absent"]);
}

#[test]
fn only_outer_levels_are_ancestors() {
    let data = inside(&[1, 2, 2, 5, 1], b"");
    let index = index(Signal::Metrics, &data);
    let parents = |level, ancestor| index.parents(index.level(level).unwrap_or_default(), level, ancestor);
    assert_eq!(parents(Level::Item, Level::Metric), Some(vec![0]));
    assert_eq!(parents(Level::Item, Level::Item), None);
    assert_eq!(parents(Level::Resource, Level::Scope), None);
    assert_eq!(parents(Level::Event, Level::Item), Some(vec![]));
}

#[test]
fn names_that_a_level_does_not_have_are_unknown() {
    assert!(matches!(fixed(Signal::Logs, Level::Item, "body"), Some(Fixed::Any(_))));
    for (signal, level, name) in [
        (Signal::Logs, Level::Item, "name"),
        (Signal::Traces, Level::Item, "code"),
        (Signal::Traces, Level::Item, "attributes"),
        (Signal::Traces, Level::Metric, "name"),
        (Signal::Logs, Level::Event, "name"),
        (Signal::Traces, Level::Item, "status"),
        (Signal::Metrics, Level::Item, "exemplars"),
        (Signal::Metrics, Level::Resource, "resource.dropped_attributes_count"),
    ] {
        assert!(fixed(signal, level, name).is_none(), "{signal:?} {level:?} {name}");
    }
}

#[test]
fn reading_what_was_not_validated_ends_early() {
    let data = span([attribute(9, "a", &field(1, "x")), field(11, attribute(3, "k", &field(1, "v")))].concat());
    let index = index(Signal::Traces, &data);
    for end in 0..data.len() {
        for other in [data[..end].to_vec(), data[..end].iter().map(|byte| byte ^ 0x80).collect()] {
            index.nested(&other, Level::Event);
            index.repeated_keys(&other, Level::Item, index.items());
            let wanted = [Column::Attribute(b"a"), Column::Attributes];
            columns(&other, &index, Level::Item, index.items().iter().copied(), &wanted);
        }
    }
}
