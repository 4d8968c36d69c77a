//! What a rewrite changes, and that it changes nothing else.

mod support;

use New::{Bad, Fixed, Gone, Long, Map, Text};
use otlp_edit::{AnyValue, EditError, Scalar};
use otlp_wire::{Level, Signal};
use support::{Change, FOREIGN, New, attr, field, fixed64, pair, request, span, varint};

fn traces<'a>() -> Change<'a> {
    Change::of(Signal::Traces)
}

#[test]
fn nothing_to_do_is_a_copy() {
    let data = request(&[&span(&[&attr("a", "1"), FOREIGN])]);
    assert_eq!(traces().on(&data), data);
    assert_eq!(traces().on(b""), b"");
    assert_eq!(traces().key(Level::Item, "a", &[]).on(&data), data);
}

#[test]
fn edits_of_levels_that_a_signal_lacks_change_nothing() {
    let record = field(2, &[&fixed64(1, 7), &fixed64(11, 8)]);
    let data = field(1, &[&field(2, &[&record])]);
    let change = Change::of(Signal::Logs).key(Level::Event, "a", &[]).key(Level::Link, "a", &[]);
    let change = change.fixed(Level::Item, "observed_time_unix_nano", &[(0, Gone)]);
    assert_eq!(change.on(&data), field(1, &[&field(2, &[&field(2, &[&fixed64(1, 7)])])]));
}

#[test]
fn a_value_is_replaced_in_its_place() {
    let odd = span(&[&field(5, &[b"name"]), &attr("a", "1"), FOREIGN, &attr("b", "2"), &field(1, &[&[7; 16]])]);
    let new = span(&[&field(5, &[b"name"]), &attr("a", "new"), FOREIGN, &attr("b", "2"), &field(1, &[&[7; 16]])]);
    let change = traces().key(Level::Item, "a", &[(1, Text("new"))]);
    assert_eq!(change.on(&request(&[&odd, &odd, &odd])), request(&[&odd, &new, &odd]));
}

#[test]
fn several_keys_in_one_item() {
    let data = request(&[&span(&[&attr("a", "1"), &attr("b", "2"), &attr("c", "3"), FOREIGN])]);
    let change = traces()
        .key(Level::Item, "c", &[(0, Text("C"))])
        .key(Level::Item, "x", &[(0, Text("X"))])
        .key(Level::Item, "b", &[(0, Gone)])
        .key(Level::Item, "y", &[(0, Gone)])
        .key(Level::Item, "z", &[(0, Text("Z"))]);
    let wanted = span(&[&attr("a", "1"), &attr("c", "C"), FOREIGN, &attr("x", "X"), &attr("z", "Z")]);
    assert_eq!(change.on(&data), request(&[&wanted]));
}

#[test]
fn equal_keys_leave_one() {
    let data = request(&[&span(&[&attr("a", "1"), &attr("b", "2"), &attr("a", "old"), &attr("a", "older")])]);
    let set = traces().key(Level::Item, "a", &[(0, Text("*"))]).on(&data);
    assert_eq!(set, request(&[&span(&[&attr("a", "*"), &attr("b", "2")])]));
    let removed = traces().key(Level::Item, "a", &[(0, Gone)]).on(&data);
    assert_eq!(removed, request(&[&span(&[&attr("b", "2")])]));
}

#[test]
fn odd_attributes_are_found() {
    let backwards = field(9, &[&field(2, &[&field(1, &[b"1"])]), &field(1, &[b"a"])]);
    let keyless = field(9, &[&field(2, &[&field(1, &[b"1"])])]);
    let long = "k".repeat(300);
    let data = request(&[&span(&[&backwards, &keyless, &attr(&long, "1"), &field(9, &[])])]);
    let set = traces()
        .key(Level::Item, "a", &[(0, Text("x"))])
        .key(Level::Item, "", &[(0, Text("y"))])
        .key(Level::Item, &long, &[(0, Text("z"))])
        .on(&data);
    assert_eq!(set, request(&[&span(&[&attr("a", "x"), &attr("", "y"), &attr(&long, "z")])]));
}

#[test]
fn a_key_that_is_only_added() {
    let data = request(&[&span(&[&attr("a?", "1")])]);
    let set = traces().new_key(Level::Item, "a?", &[(0, Text("2"))]).on(&data);
    assert_eq!(set, request(&[&span(&[&attr("a?", "1"), &attr("a?", "2")])]));
    assert_eq!(traces().new_key(Level::Item, "a?", &[(0, Gone)]).on(&data), data);
}

#[test]
fn many_keys_are_found_too() {
    let names: Vec<String> = (0..40).map(|number| format!("key{number}")).collect();
    let old: Vec<u8> = names.iter().flat_map(|name| attr(name, "old")).collect();
    let mut change = traces();
    for name in &names {
        change = change.key(Level::Item, name, &[(0, Text("new")), (2, Gone)]);
    }
    let new: Vec<u8> = names.iter().flat_map(|name| attr(name, "new")).collect();
    let data = request(&[&span(&[&old]), &span(&[&old]), &span(&[&old, FOREIGN])]);
    assert_eq!(change.on(&data), request(&[&span(&[&new]), &span(&[&old]), &span(&[FOREIGN])]));
}

#[test]
fn a_key_of_its_own_in_every_row_costs_no_walk_over_all() {
    const ROWS: u32 = 20_000;
    let names: Vec<String> = (0..ROWS).map(|number| format!("key{number}")).collect();
    let spans = |value: &str| {
        let spans: Vec<Vec<u8>> = names.iter().map(|name| span(&[&attr(name, value)])).collect();
        request(&spans.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    let rows: Vec<_> = (0..ROWS).map(|row| [(row, Text("new"))]).collect();
    let change = names.iter().zip(&rows).fold(traces(), |change, (name, row)| change.key(Level::Item, name, row));
    assert_eq!(change.on(&spans("old")), spans("new"));
}

#[test]
fn long_texts_and_growing_lengths() {
    let long = "x".repeat(70_000);
    let data = request(&[&span(&[&attr("a", "1")]), &span(&[&attr("b", "2")])]);
    let change = traces().key(Level::Item, "a", &[(0, Long(&long)), (1, Long(&long))]);
    let wanted = request(&[&span(&[&attr("a", &long)]), &span(&[&attr("b", "2"), &attr("a", &long)])]);
    assert_eq!(change.on(&data), wanted);
    let back = traces().key(Level::Item, "a", &[(0, Text("1")), (1, Gone)]);
    assert_eq!(back.on(&wanted), data);
}

#[test]
fn whole_map_comes_before_single_keys() {
    let data = request(&[&span(&[&attr("a", "1"), &field(5, &[b"n"]), &attr("z", "2")])]);
    let change = traces()
        .key(Level::Item, "b", &[(0, Text("B"))])
        .key(Level::Item, "c", &[(0, Gone)])
        .key(Level::Item, "d", &[(0, Text("D"))])
        .map(Level::Item, &[(0, Map(&[("a", "new"), ("b", "x"), ("c", "y")]))]);
    let wanted = span(&[&field(5, &[b"n"]), &attr("a", "new"), &attr("b", "B"), &attr("d", "D")]);
    assert_eq!(change.on(&data), request(&[&wanted]));
    for nothing in [Gone, Map(&[])] {
        let emptied = traces().map(Level::Item, &[(0, nothing)]).on(&data);
        assert_eq!(emptied, request(&[&span(&[&field(5, &[b"n"])])]));
    }
}

#[test]
fn fixed_fields_of_a_span() {
    let data = request(&[&span(&[&field(5, &[b"old"]), FOREIGN, &varint(6, 3), &attr("a", "1")])]);
    let change = traces()
        .fixed(Level::Item, "name", &[(0, Fixed(Scalar::Bytes(b"new")))])
        .fixed(Level::Item, "kind", &[(0, Fixed(Scalar::Varint(0)))])
        .fixed(Level::Item, "flags", &[(0, Fixed(Scalar::Fixed32(1)))])
        .fixed(Level::Item, "end_time_unix_nano", &[(0, Fixed(Scalar::Fixed64(9)))]);
    let flags = b"\x85\x01\x01\0\0\0";
    let wanted = span(&[&field(5, &[b"new"]), FOREIGN, &attr("a", "1"), flags, &fixed64(8, 9)]);
    assert_eq!(change.on(&data), request(&[&wanted]));
    let removed = traces().fixed(Level::Item, "name", &[(0, Gone)]).on(&data);
    assert_eq!(removed, request(&[&span(&[FOREIGN, &varint(6, 3), &attr("a", "1")])]));
}

#[test]
fn fields_of_a_nested_message() {
    let status = field(15, &[&varint(3, 2), FOREIGN, &field(2, &[b"old"])]);
    let data = request(&[&span(&[&status, FOREIGN]), &span(&[])]);
    let change = traces()
        .fixed(Level::Item, "status.message", &[(0, Fixed(Scalar::Bytes(b"new"))), (1, Fixed(Scalar::Bytes(b"m")))])
        .fixed(Level::Item, "status.code", &[(0, Gone), (1, Fixed(Scalar::Varint(1)))]);
    let first = span(&[&field(15, &[FOREIGN, &field(2, &[b"new"])]), FOREIGN]);
    let second = span(&[&field(15, &[&field(2, &[b"m"]), &varint(3, 1)])]);
    assert_eq!(change.on(&data), request(&[&first, &second]));
}

#[test]
fn removing_makes_a_nested_message_as_protobuf_does() {
    let data = request(&[&span(&[])]);
    let status = traces().fixed(Level::Item, "status.code", &[(0, Gone)]).on(&data);
    assert_eq!(status, request(&[&span(&[&field(15, &[])])]));
    let key = traces().key(Level::Resource, "a", &[(0, Gone)]).on(&data);
    assert_eq!(key, data);
}

#[test]
fn resource_and_scope() {
    let resource = field(1, &[&pair(1, "a", "1"), &varint(2, 4), FOREIGN]);
    let scope = field(1, &[&field(1, &[b"lib"]), &pair(3, "s", "1")]);
    let item = span(&[FOREIGN]);
    let data = field(1, &[&resource, &field(2, &[&item, &scope, FOREIGN, &item]), FOREIGN, &field(3, &[b"url"])]);
    let change = traces()
        .key(Level::Resource, "a", &[(0, Text("A"))])
        .key(Level::Resource, "b", &[(0, Text("B"))])
        .fixed(Level::Resource, "schema_url", &[(0, Gone)])
        .fixed(Level::Resource, "dropped_attributes_count", &[(0, Fixed(Scalar::Varint(5)))])
        .key(Level::Scope, "s", &[(0, Gone)])
        .fixed(Level::Scope, "version", &[(0, Fixed(Scalar::Bytes(b"7")))]);
    let resource = field(1, &[&pair(1, "a", "A"), &varint(2, 5), FOREIGN, &pair(1, "b", "B")]);
    let scope = field(1, &[&field(1, &[b"lib"]), &field(2, &[b"7"])]);
    let wanted = field(1, &[&resource, &field(2, &[&item, &scope, FOREIGN, &item]), FOREIGN]);
    assert_eq!(change.on(&data), wanted);
}

#[test]
fn a_missing_resource_is_made() {
    let data = field(1, &[&field(2, &[&span(&[])])]);
    let change = traces().key(Level::Resource, "a", &[(0, Text("1"))]).map(Level::Scope, &[(0, Map(&[("b", "2")]))]);
    let scope = field(2, &[&span(&[]), &field(1, &[&pair(3, "b", "2")])]);
    assert_eq!(change.on(&data), field(1, &[&scope, &field(1, &[&pair(1, "a", "1")])]));
    let emptied = traces().map(Level::Resource, &[(0, Gone)]).on(&data);
    assert_eq!(emptied, field(1, &[&field(2, &[&span(&[])]), &field(1, &[])]));
}

#[test]
fn events_and_links() {
    let event = |value| field(11, &[&field(2, &[b"e"]), &pair(3, "a", value)]);
    let link = |value| field(13, &[&pair(4, "a", value), FOREIGN]);
    let first = span(&[&event("0"), &link("0"), &event("1"), FOREIGN]);
    let second = span(&[&event("2"), &link("1"), &link("2")]);
    let change = traces()
        .key(Level::Event, "a", &[(0, Text("x")), (2, Gone)])
        .fixed(Level::Event, "name", &[(2, Fixed(Scalar::Bytes(b"n")))])
        .key(Level::Link, "b", &[(1, Text("y"))])
        .drop(Level::Event, &[1])
        .drop(Level::Link, &[0, 2]);
    let linked = field(13, &[&pair(4, "a", "1"), FOREIGN, &pair(4, "b", "y")]);
    let wanted =
        request(&[&span(&[&event("x"), FOREIGN]), &span(&[]), &span(&[&field(11, &[&field(2, &[b"n"])]), &linked])]);
    assert_eq!(change.on(&request(&[&first, &span(&[]), &second])), wanted);
}

#[test]
fn dropped_items_take_empty_containers_along() {
    let item = span(&[FOREIGN]);
    let full = field(2, &[&item, &item, FOREIGN]);
    let empty = field(2, &[FOREIGN]);
    let data = [field(1, &[&full, &empty]), field(1, &[&full, FOREIGN]), field(1, &[&empty]), field(1, &[])].concat();
    let kept = traces().drop(Level::Item, &[0, 1, 3]).on(&data);
    let left = field(2, &[&item, FOREIGN]);
    let wanted = [field(1, &[&empty]), field(1, &[&left, FOREIGN]), field(1, &[&empty]), field(1, &[])].concat();
    assert_eq!(kept, wanted);
    let all = traces().drop(Level::Item, &[0, 1, 2, 3]).on(&data);
    assert_eq!(all, [field(1, &[&empty]), field(1, &[&empty]), field(1, &[])].concat());
}

#[test]
fn dropped_containers_take_everything_along() {
    let item = span(&[&attr("a", "1")]);
    let scope = field(2, &[&item]);
    let data = [field(1, &[&scope, &scope]), field(1, &[&scope, FOREIGN])].concat();
    assert_eq!(traces().drop(Level::Resource, &[0]).on(&data), field(1, &[&scope, FOREIGN]));
    assert_eq!(
        traces().drop(Level::Scope, &[0]).on(&data),
        [field(1, &[&scope]), field(1, &[&scope, FOREIGN])].concat()
    );
    assert_eq!(traces().drop(Level::Scope, &[0, 1, 2]).on(&data), b"");
    let edited = traces().drop(Level::Scope, &[1, 2]).key(Level::Item, "a", &[(0, Text("2")), (1, Bad), (2, Bad)]);
    assert_eq!(edited.on(&data), field(1, &[&field(2, &[&span(&[&attr("a", "2")])])]));
}

#[test]
fn a_value_that_cannot_be_written_matters_where_its_row_stays() {
    let data = request(&[&span(&[]), &span(&[])]);
    let bad = traces().key(Level::Item, "a", &[(0, Bad)]);
    assert!(matches!(bad.try_on(&data), Err(EditError::Failed(_))));
    let gone = traces().key(Level::Item, "a", &[(0, Bad)]).drop(Level::Item, &[0]);
    assert_eq!(gone.on(&data), request(&[&span(&[])]));
    let container = traces().key(Level::Scope, "a", &[(0, Bad)]).drop(Level::Item, &[0, 1]);
    assert_eq!(container.on(&data), FOREIGN);
}

#[test]
fn rows_that_are_not_there() {
    let data = request(&[&span(&[&field(11, &[])])]);
    for level in [Level::Resource, Level::Scope, Level::Metric, Level::Item, Level::Event, Level::Link] {
        let row = if matches!(level, Level::Metric | Level::Link) { 0 } else { 1 };
        let edited = traces().key(level, "a", &[(row, Text("x"))]).try_on(&data);
        assert_eq!(edited, Err(EditError::NoRow(level, row)));
        if level != Level::Metric {
            assert_eq!(traces().drop(level, &[row]).try_on(&data), Err(EditError::NoRow(level, row)));
        }
    }
}

#[test]
fn log_bodies() {
    let record = |pieces: &[&[u8]]| field(1, &[&field(2, &[&field(2, pieces)])]);
    let data = record(&[&field(5, &[&field(1, &[b"old"])]), &pair(6, "a", "1")]);
    let change = Change::of(Signal::Logs)
        .fixed(Level::Item, "body", &[(0, Fixed(Scalar::Any(AnyValue::Bool(false))))])
        .key(Level::Item, "a", &[(0, Text("2"))]);
    assert_eq!(change.on(&data), record(&[&field(5, &[b"\x10\0"]), &pair(6, "a", "2")]));
    let removed = Change::of(Signal::Logs).fixed(Level::Item, "body", &[(0, Gone)]).on(&data);
    assert_eq!(removed, record(&[&pair(6, "a", "1")]));
}

/// A request of one metric of each kind, with one point each that holds these bytes.
fn metrics(point: &[u8]) -> Vec<u8> {
    metrics_with([5, 7, 9, 10, 11].map(|kind| field(kind, &[&field(1, &[point]), FOREIGN])))
}

fn metrics_with(datas: [Vec<u8>; 5]) -> Vec<u8> {
    field(1, &[&field(2, &datas.map(|data| field(2, &[&field(1, &[b"m"]), &data])).each_ref().map(Vec::as_slice))])
}

#[test]
fn attributes_of_every_kind_of_point() {
    let rows = [0, 1, 2, 3, 4].map(|row| (row, Text("v")));
    let set = Change::of(Signal::Metrics).key(Level::Item, "a", &rows).on(&metrics(&[]));
    let points = [(5, 7), (7, 7), (9, 9), (10, 1), (11, 7)];
    let wanted = points.map(|(kind, number)| field(kind, &[&field(1, &[&pair(number, "a", "v")]), FOREIGN]));
    assert_eq!(set, metrics_with(wanted));
    let removed = Change::of(Signal::Metrics).key(Level::Item, "a", &[0, 1, 2, 3, 4].map(|row| (row, Gone))).on(&set);
    assert_eq!(removed, metrics(&[]));
    let maps = [0, 1, 2, 3, 4].map(|row| (row, Map(&[("a", "v")])));
    assert_eq!(Change::of(Signal::Metrics).map(Level::Item, &maps).on(&metrics(&[])), set);
}

#[test]
fn numbers_of_points() {
    let change = |field, row, new| Change::of(Signal::Metrics).fixed(Level::Item, field, &[(row, new)]);
    let with = |gauge: &[u8], sum: &[u8]| {
        let kinds = [(5, gauge), (7, sum), (9, b""), (10, b""), (11, b"")];
        metrics_with(kinds.map(|(kind, point)| field(kind, &[&field(1, &[point]), FOREIGN])))
    };
    let five = fixed64(6, 5);
    let old = with(&five, &five);
    let double = Fixed(Scalar::PointDouble(1.5));
    assert_eq!(change("value", 0, double).on(&old), with(&fixed64(4, 1.5f64.to_bits()), &five));
    assert_eq!(change("value", 1, Fixed(Scalar::PointInt(-1))).on(&old), with(&five, &fixed64(6, u64::MAX)));
    assert_eq!(change("value", 1, Gone).on(&old), with(&five, &[]));
    assert_eq!(change("value", 2, Gone).on(&old), old);
    assert_eq!(change("value", 2, double).try_on(&old), Err(EditError::Unfit(0)));
    assert_eq!(change("sum", 0, Fixed(Scalar::Double(1.0))).try_on(&old), Err(EditError::Unfit(0)));
    assert_eq!(change("count", 1, Fixed(Scalar::Fixed64(1))).try_on(&old), Err(EditError::Unfit(0)));
    let flags = |row| change("flags", row, Fixed(Scalar::Varint(1))).on(&metrics(&[]));
    assert!(flags(0).windows(2).any(|pair| pair == [8 << 3, 1]));
    assert!(flags(2).windows(2).any(|pair| pair == [10 << 3, 1]));
    let zero = change("sum", 2, Fixed(Scalar::Double(0.0))).on(&metrics(&[]));
    assert_eq!(zero.len(), metrics(&[]).len() + 9);
}

#[test]
fn fields_of_metrics_and_their_data() {
    let point = field(1, &[]);
    let sum = field(7, &[&point, &varint(2, 1), &point, FOREIGN]);
    let data = field(1, &[&field(2, &[&field(2, &[&sum, &field(3, &[b"s"]), FOREIGN])])]);
    let change = Change::of(Signal::Metrics)
        .fixed(Level::Metric, "aggregation_temporality", &[(0, Fixed(Scalar::Varint(2)))])
        .fixed(Level::Metric, "is_monotonic", &[(0, Fixed(Scalar::Varint(1)))])
        .fixed(Level::Metric, "unit", &[(0, Fixed(Scalar::Bytes(b"By")))])
        .key(Level::Metric, "k", &[(0, Text("v"))])
        .drop(Level::Item, &[1]);
    let sum = field(7, &[&point, &varint(2, 2), FOREIGN, &varint(3, 1)]);
    let metric = field(2, &[&sum, &field(3, &[b"By"]), FOREIGN, &pair(12, "k", "v")]);
    assert_eq!(change.on(&data), field(1, &[&field(2, &[&metric])]));
}

#[test]
fn data_that_a_metric_lacks() {
    let change = |row, new| Change::of(Signal::Metrics).fixed(Level::Metric, "is_monotonic", &[(row, new)]);
    let data = metrics(&[]);
    assert_eq!(change(0, Gone).on(&data), data);
    assert_eq!(change(0, Fixed(Scalar::Varint(1))).try_on(&data), Err(EditError::Unfit(0)));
    let bare = field(1, &[&field(2, &[&field(2, &[&field(1, &[b"m"])])])]);
    assert_eq!(change(0, Gone).on(&bare), bare);
    assert_eq!(change(0, Fixed(Scalar::Varint(1))).try_on(&bare), Err(EditError::Unfit(0)));
    let renamed = Change::of(Signal::Metrics).fixed(Level::Metric, "name", &[(0, Gone)]).on(&bare);
    assert_eq!(renamed, field(1, &[&field(2, &[&field(2, &[])])]));
}

#[test]
fn dropped_points_take_data_and_metric_along() {
    let wanted = metrics_with([5, 7, 9, 10, 11].map(|kind| field(kind, &[&field(1, &[]), FOREIGN])));
    let kept = Change::of(Signal::Metrics).drop(Level::Item, &[0, 1, 3, 4]).on(&wanted);
    let data = field(9, &[&field(1, &[]), FOREIGN]);
    assert_eq!(kept, field(1, &[&field(2, &[&field(2, &[&field(1, &[b"m"]), &data])])]));
    let metric = Change::of(Signal::Metrics).drop(Level::Metric, &[0, 1, 3, 4]).on(&wanted);
    assert_eq!(metric, kept);
}
