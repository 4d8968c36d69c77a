//! Where values that match lie in requests.

use otlp_search::{Found, Searcher, search};
use otlp_wire::{Decoded, Level, Signal, decode, put_varint};

const CARD: &str = "4111111111111111";

fn part(number: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number << 3 | 2);
    put_varint(&mut out, body.len() as u64);
    out.extend_from_slice(body);
    out
}

fn string(text: &str) -> Vec<u8> {
    part(1, text.as_bytes())
}

fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    [string(key), part(2, value)].concat()
}

fn list(values: &[Vec<u8>]) -> Vec<u8> {
    part(5, &values.iter().flat_map(|value| part(1, value)).collect::<Vec<_>>())
}

fn map(pairs: &[Vec<u8>]) -> Vec<u8> {
    part(6, &pairs.iter().flat_map(|pair| part(1, pair)).collect::<Vec<_>>())
}

/// A request with one resource, one scope and these items.
fn request(resource: &[u8], scope: &[u8], items: &[Vec<u8>]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|item| part(2, item)).collect();
    let scope = [part(1, scope), items].concat();
    part(1, &[part(1, resource), part(2, &scope)].concat())
}

fn found_in(signal: Signal, data: &[u8], level: Option<Level>, key: Option<&str>) -> Found {
    let Ok(Decoded::Regular(index)) = decode(signal, data) else { panic!("a regular request") };
    let searcher = Searcher::new(&[r"\b4\d{15}\b"]).expect("a pattern");
    search(&searcher, data, &index, level, key.map(str::as_bytes))
}

/// Level, row, key and value of what was found.
fn told(data: &[u8], found: &Found) -> Vec<(Level, u32, String, String)> {
    let text = |range: std::ops::Range<usize>| String::from_utf8(data[range].to_vec()).expect("text");
    let places = found.places.iter();
    let told = places.map(|place| {
        let key = place.key.clone().map_or_else(|| "(body)".to_owned(), text);
        (place.level, place.row, key, text(place.value.clone()))
    });
    told.collect()
}

fn is(level: Level, row: u32, key: &str, value: &str) -> (Level, u32, String, String) {
    (level, row, key.into(), value.into())
}

#[test]
fn spans_their_events_and_what_is_around_them() {
    let text = format!("card {CARD}");
    let event = |value: &str| part(11, &part(3, &pair("message", &string(value))));
    let spans = [
        [event("clean"), part(9, &pair("note", &string("clean"))), event(CARD)].concat(),
        [part(5, CARD.as_bytes()), event("clean"), part(9, &pair("note", &string(&text))), event(CARD)].concat(),
    ];
    let data = request(&part(1, &pair("owner", &string(CARD))), &part(3, &pair("by", &string(CARD))), &spans);
    let found = found_in(Signal::Traces, &data, None, None);
    assert_eq!(
        told(&data, &found),
        [
            is(Level::Resource, 0, "owner", CARD),
            is(Level::Scope, 0, "by", CARD),
            is(Level::Item, 1, "note", &text),
            is(Level::Event, 1, "message", CARD),
            is(Level::Event, 3, "message", CARD),
        ]
    );
    assert!(found.hidden.is_empty() && found.bodies.is_empty());

    let events = found_in(Signal::Traces, &data, Some(Level::Event), None);
    assert_eq!(told(&data, &events), [is(Level::Event, 1, "message", CARD), is(Level::Event, 3, "message", CARD)]);
    let notes = found_in(Signal::Traces, &data, Some(Level::Item), Some("note"));
    assert_eq!(told(&data, &notes), [is(Level::Item, 1, "note", &text)]);
    assert!(found_in(Signal::Traces, &data, Some(Level::Item), Some("message")).places.is_empty());
}

#[test]
fn a_value_behind_an_equal_key_is_hidden() {
    let attribute = |value: &[u8]| part(9, &pair("note", value));
    let spans = [
        [attribute(&string("clean")), attribute(&string(CARD))].concat(),
        [attribute(&string(CARD)), attribute(&string("clean"))].concat(),
        [attribute(&[0x18, 5]), attribute(&string(CARD))].concat(),
    ];
    let data = request(&[], &[], &spans);
    let found = found_in(Signal::Traces, &data, None, None);
    assert_eq!(found.hidden, [(Level::Item, 0), (Level::Item, 2)]);
    assert_eq!(told(&data, &found), [is(Level::Item, 1, "note", CARD)]);
}

#[test]
fn many_matches_in_one_span_take_no_walk_each() {
    const COUNT: usize = 50_000;
    let attribute = |key: usize| part(9, &pair(&format!("key{key}"), &string(CARD)));
    let mut span: Vec<u8> = (0..COUNT).flat_map(attribute).collect();
    span.extend(attribute(COUNT / 2));
    span.extend(attribute(COUNT));
    let data = request(&[], &[], &[span]);
    let found = found_in(Signal::Traces, &data, None, None);
    assert_eq!(found.places.len(), COUNT + 1);
    assert_eq!(found.hidden, [(Level::Item, 0)]);
}

#[test]
fn keys_names_lists_maps_and_bytes_are_not_values() {
    let attributes = [
        pair(CARD, &string("clean")),
        pair("list", &list(&[string(CARD)])),
        pair("map", &map(&[pair("a", &string(CARD))])),
        pair("bytes", &part(7, CARD.as_bytes())),
    ];
    let span: Vec<u8> = attributes.iter().flat_map(|attribute| part(9, attribute)).collect();
    let data = request(&[], &[], &[[part(5, CARD.as_bytes()), span].concat()]);
    assert_eq!(found_in(Signal::Traces, &data, None, None), Found::default());
}

#[test]
fn bodies_of_log_records() {
    let nested = |text: &str| map(&[pair("a", &list(&[string("x"), map(&[pair("b", &string(text))])]))]);
    let bodies = [string(CARD), string("clean"), nested(CARD), nested("clean"), vec![0x18, 5]];
    let records: Vec<Vec<u8>> = bodies.iter().map(|body| part(5, body)).chain([Vec::new()]).collect();
    let data = request(&[], &[], &records);
    let found = found_in(Signal::Logs, &data, None, None);
    assert_eq!(told(&data, &found), [is(Level::Item, 0, "(body)", CARD)]);
    assert_eq!(found.bodies, [(2, true), (3, false), (4, false)]);
    assert!(found_in(Signal::Logs, &data, None, Some("a")).bodies.is_empty());
}

#[test]
fn points_of_every_kind() {
    for (kind, attributes) in [(5, 7), (7, 7), (9, 9), (10, 1), (11, 7)] {
        let point = part(attributes, &pair("note", &string(CARD)));
        let metric = [part(1, CARD.as_bytes()), part(kind, &part(1, &point))].concat();
        let data = request(&[], &[], &[metric]);
        let found = found_in(Signal::Metrics, &data, None, None);
        assert_eq!(told(&data, &found), [is(Level::Item, 0, "note", CARD)], "field {kind}");
    }
}

#[test]
fn any_length_of_key_and_value() {
    for size in [0, 1, 111, 127, 128, 16_370, 16_384, 70_000, 2_100_000] {
        let filler = "x ".repeat(size / 2);
        let value = format!("{filler}{CARD} {filler}");
        let data = request(&[], &[], &[part(9, &pair(&format!("key{filler}"), &string(&value)))]);
        let found = found_in(Signal::Traces, &data, None, None);
        assert_eq!(told(&data, &found), [is(Level::Item, 0, &format!("key{filler}"), &value)]);
    }
}
