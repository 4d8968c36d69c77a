//! Which texts of a request are told, given where hits end.

use std::convert::Infallible;

use otlp_search::{Keys, Kind, Text, Texts, texts};
use otlp_wire::{Signal, put_varint};

/// Keys that begin with `skip` are ignored, and `clean` ones hold nothing.
struct Known;

impl Keys for Known {
    type Error = Infallible;

    fn is_ignored(&self, name: &str) -> Result<bool, Infallible> {
        Ok(name.starts_with("skip"))
    }

    fn is_clean(&self, key: &str) -> Result<bool, Infallible> {
        Ok(key.starts_with("clean"))
    }
}

fn part(number: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number << 3 | 2);
    put_varint(&mut out, body.len() as u64);
    out.extend_from_slice(body);
    out
}

fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    [part(1, key.as_bytes()), part(2, value)].concat()
}

fn string(key: &str, value: &str) -> Vec<u8> {
    pair(key, &part(1, value.as_bytes()))
}

/// A request with one span that has these fields.
fn span(fields: &[Vec<u8>]) -> Vec<u8> {
    part(1, &part(2, &part(2, &fields.concat())))
}

/// Return what is told of a request in which these words are hits.
fn told(data: &[u8], words: &[&str]) -> Option<Texts> {
    let ends: Vec<usize> = (1..=data.len())
        .filter(|&end| words.iter().any(|word| data.get(..end).is_some_and(|left| left.ends_with(word.as_bytes()))))
        .collect();
    let Ok(found) = texts(Signal::Traces, data, &ends, &Known);
    found
}

fn shown<'a>(data: &'a [u8], texts: &'a Texts) -> Vec<(&'a str, &'a [u8], Kind)> {
    let show = |Text { frame, name, kind, .. }: &'a Text| {
        let frame = texts.frames.get(*frame)?;
        Some((name.as_str(), data.get(frame.start..frame.stop)?, *kind))
    };
    texts.found.iter().filter_map(show).collect()
}

#[test]
fn only_texts_with_a_hit_are_told() {
    let nested = pair("m", &part(6, &part(1, &string("k", "deep MARK"))));
    let data = span(&[part(5, b"MARK"), part(9, &string("a", "x")), part(9, &string("b", "a MARK")), part(9, &nested)]);
    let found = told(&data, &["MARK"]).unwrap();
    let expected: [(&str, &[u8], Kind); 3] =
        [("name", b"MARK", Kind::String), ("b", b"a MARK", Kind::String), ("m.k", b"deep MARK", Kind::String)];
    assert_eq!(shown(&data, &found), expected);
    assert!(found.found.iter().all(|text| text.item == Some(text.owner)));
}

#[test]
fn a_key_that_was_hit_brings_its_value_unless_it_is_ignored() {
    let data = span(&[part(9, &string("MARK", "value")), part(9, &string("skip MARK", "value"))]);
    let found = told(&data, &["MARK"]).unwrap();
    let expected: [(&str, &[u8], Kind); 2] = [("MARK", b"MARK", Kind::Key), ("MARK", b"value", Kind::String)];
    assert_eq!(shown(&data, &found), expected);
}

#[test]
fn an_event_that_was_hit_is_told_whole() {
    let event = [part(2, b"name"), part(3, &string("a", "MARK")), part(3, &string("b", "other"))].concat();
    let data = span(&[part(11, &event)]);
    let found = told(&data, &["MARK"]).unwrap();
    assert_eq!(found.found.len(), 5);
    assert!(found.found.iter().all(|text| text.event.is_some()));
}

#[test]
fn large_integers_are_told_and_small_ones_under_clean_keys_are_not() {
    let number = |key: &str, value: u64| {
        let mut out = vec![3 << 3];
        put_varint(&mut out, value);
        part(9, &pair(key, &out))
    };
    let data = span(&[number("clean MARK", 4_111_111_111_111_111), number("clean MARK", 7)]);
    let found = told(&data, &["MARK"]).unwrap();
    assert_eq!(found.found.iter().map(|text| text.kind).collect::<Vec<_>>(), [Kind::Number(4_111_111_111_111_111)]);
}

#[test]
fn what_is_irregular_is_left_to_others() {
    let group = span(&[vec![3 << 3 | 3, 3 << 3 | 4], part(5, b"MARK")]);
    let no_text = span(&[part(9, &[part(1, b"MARK\xff"), part(2, &part(1, b"MARK"))].concat())]);
    for data in [group, no_text, span(&[vec![3 << 3 | 7], part(5, b"MARK")])] {
        assert_eq!(told(&data, &["MARK"]), None);
    }
}
