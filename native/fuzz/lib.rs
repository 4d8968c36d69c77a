//! What must hold for any bytes; the targets are one call each.

use std::sync::LazyLock;

use otlp_edit::{
    AnyValue, Column as EditColumn, Edits, FixedField, Form, Scalar, Slot, Target, Values, attribute_tag, fixed_field,
    partition, put_attribute, rewrite, split,
};
use otlp_search::{Searcher, search};
use otlp_wire::{Cell, Column, Decoded, Fixed, Index, Level, Node, Signal, columns, count, decode, fixed};

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];
const LEVELS: [Level; 6] = [Level::Resource, Level::Scope, Level::Metric, Level::Item, Level::Event, Level::Link];
const NAMES: [&str; 26] = [
    "schema_url",
    "dropped_attributes_count",
    "name",
    "version",
    "description",
    "unit",
    "type",
    "aggregation_temporality",
    "is_monotonic",
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "flags",
    "kind",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "status.code",
    "status.message",
    "time_unix_nano",
    "severity_number",
    "severity_text",
    "body",
    "value",
    "count",
    "sum",
];

/// Small numbers out of the first bytes of an input; the rest is the request.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides.max(1)
    }
}

fn split_input(input: &[u8]) -> Option<(Signal, Dice, &[u8])> {
    let (&[choice, seed], data) = input.split_first_chunk::<2>()?;
    let dice = Dice(u64::from(choice) << 8 | u64::from(seed));
    Some((SIGNALS[usize::from(choice) % SIGNALS.len()], dice, data))
}

fn regular(signal: Signal, data: &[u8]) -> Option<Index> {
    match decode(signal, data) {
        Ok(Decoded::Regular(index)) => Some(index),
        _ => None,
    }
}

fn must_be_regular(signal: Signal, data: &[u8], what: &str) -> Index {
    regular(signal, data).unwrap_or_else(|| panic!("{what} is not regular: {:?}", decode(signal, data)))
}

fn rows(index: &Index, data: &[u8], level: Level) -> Vec<Node> {
    index.level(level).map_or_else(|| index.nested(data, level), <[Node]>::to_vec)
}

/// Decode, read every column, edit, cut into parts: what comes out is regular again and has the rows that it should.
pub fn check_codec(input: &[u8]) {
    let Some((signal, mut dice, data)) = split_input(input) else { return };
    let counted = count(signal, data);
    if let Err(error) = &counted {
        assert!(error.offset <= data.len());
    }
    let index = match decode(signal, data) {
        Ok(Decoded::Regular(index)) => index,
        Ok(Decoded::Irregular) => return,
        Err(error) => return assert!(error.offset <= data.len()),
    };
    // `None`: numbers in more bytes than needed, which the walk of the containers leaves to others.
    assert!(counted == Ok(None) || counted == Ok(Some(index.items().len())), "{counted:?}");
    for level in LEVELS {
        read(signal, data, &index, level);
    }
    let same = rewrite(data, &index, &Edits::default()).expect("nothing to do").to_vec();
    assert_eq!(same, data);
    change(signal, data, &index, &mut dice);
    regroup(signal, data, &index, &mut dice);
    let joined = [data, data].concat();
    let mut twice = index.clone();
    twice.append(index.clone(), data.len() as u32);
    assert_eq!(twice.depths, must_be_regular(signal, &joined, "a request twice").depths);
}

fn read(signal: Signal, data: &[u8], index: &Index, level: Level) {
    let nodes = rows(index, data, level);
    for ancestor in LEVELS {
        if let Some(parents) = index.parents(&nodes, level, ancestor) {
            assert_eq!(parents.len(), nodes.len());
            assert!(parents.iter().all(|&row| (row as usize) < rows(index, data, ancestor).len()));
        }
    }
    let known: Vec<Fixed> = NAMES.iter().filter_map(|name| fixed(signal, level, name)).collect();
    let mut wanted: Vec<Column<'_>> = known.into_iter().map(Column::Fixed).collect();
    wanted.extend([
        Column::Attributes,
        Column::Attribute(b"a"),
        Column::Attribute(b"service.name"),
        Column::Attribute(b""),
    ]);
    let cells = columns(data, index, level, nodes.iter().copied(), &wanted);
    for number in 0..wanted.len() {
        let column = cells.column(number);
        assert_eq!(column.len(), nodes.len());
        column.for_each(|cell| walk(cell, 0));
    }
    let repeated = index.repeated_keys(data, level, &nodes);
    assert!(repeated.is_sorted() && repeated.iter().all(|&row| (row as usize) < nodes.len()));
}

fn walk(cell: Cell<'_>, depth: u32) {
    assert!(depth < 200);
    match cell {
        Cell::Text(text) => assert!(std::str::from_utf8(text).is_ok()),
        Cell::List(list) => list.iter().for_each(|inner| walk(inner, depth + 1)),
        Cell::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            assert!(std::str::from_utf8(key).is_ok());
            walk(Cell::of_any(value), depth + 1);
        }),
        _ => {}
    }
}

/// Edit a few fields of a few rows and drop some.
fn change(signal: Signal, data: &[u8], index: &Index, dice: &mut Dice) {
    const KEYS: [&[u8]; 4] = [b"a", b"service.name", b"", b"new"];
    let mut edits = Edits { values: Values::default(), ..Edits::default() };
    for _ in 0..dice.roll(4) {
        let level = LEVELS[dice.roll(6) as usize];
        let count = rows(index, data, level).len() as u32;
        let key = KEYS[dice.roll(4) as usize];
        let fixed =
            fixed_field(signal, level, NAMES[dice.roll(26) as usize]).filter(|field| field.form != Form::ReadOnly);
        let target = match (dice.roll(3), fixed) {
            (0, Some(field)) => Target::Fixed(field),
            (1, _) => Target::Map,
            _ => Target::Key { key, found: true },
        };
        let tag = attribute_tag(signal, level);
        let mut picked = Vec::new();
        for row in 0..count {
            match dice.roll(3) {
                0 => picked.push((row, Slot::REMOVE)),
                1 => picked.push((row, value(&mut edits.values, &target, tag, key, dice))),
                _ => {}
            }
        }
        edits.columns.push(EditColumn { level, target, rows: picked });
    }
    if dice.roll(2) == 0 {
        let level = LEVELS[dice.roll(6) as usize];
        let count = rows(index, data, level).len() as u32;
        edits.drops.push((level, (0..count).filter(|_| dice.roll(2) == 0).collect()));
    }
    let items_stay = edits.drops.iter().all(|(level, _)| matches!(level, Level::Event | Level::Link));
    if let Ok(made) = rewrite(data, index, &edits) {
        let (length, bytes) = (made.len(), made.to_vec());
        assert_eq!(length, bytes.len());
        let again = must_be_regular(signal, &bytes, "a rewritten request");
        assert!(again.items().len() <= index.items().len());
        assert!(!items_stay || again.items().len() == index.items().len());
    }
}

fn value(values: &mut Values, target: &Target<'_>, tag: u8, key: &[u8], dice: &mut Dice) -> Slot {
    let any = [
        AnyValue::Text("é".as_bytes()),
        AnyValue::Int(-5),
        AnyValue::Bool(true),
        AnyValue::Double(1.5),
        AnyValue::Bytes(b"\xff"),
        AnyValue::Empty,
    ][dice.roll(6) as usize];
    match target {
        Target::Fixed(field) => scalar(field, any).put(values.buffer()),
        Target::Key { .. } => put_attribute(values.buffer(), tag, key, &any),
        Target::Map => {
            put_attribute(values.buffer(), tag, key, &any);
            put_attribute(values.buffer(), tag, b"second", &any);
        }
    }
    values.slot()
}

fn scalar<'a>(field: &FixedField, any: AnyValue<'a>) -> Scalar<'a> {
    const ID: [u8; 16] = *b"0123456789abcdef";
    match field.form {
        Form::Text => Scalar::Bytes("text".as_bytes()),
        Form::Id(size) => Scalar::Bytes(&ID[..size]),
        Form::Enum(_) | Form::Uint32 => Scalar::Varint(1),
        Form::Fixed32 => Scalar::Fixed32(7),
        Form::Fixed64 => Scalar::Fixed64(7),
        Form::Bool => Scalar::Varint(1),
        Form::Double => Scalar::Double(0.5),
        Form::Number => Scalar::PointInt(3),
        Form::Any | Form::ReadOnly => Scalar::Any(any),
    }
}

/// Cut into parts, by group and by size: nothing is lost, nothing twice, limits hold.
fn regroup(signal: Signal, data: &[u8], index: &Index, dice: &mut Dice) {
    let items = index.items().len();
    let parts = 1 + dice.roll(3) as usize;
    let groups: Vec<i64> = (0..items).map(|_| dice.roll(parts as u64 + 1) as i64 - 1).collect();
    for (number, made) in partition(data, index, &groups, parts).iter().enumerate() {
        let bytes = made.to_vec();
        let expected = groups.iter().filter(|&&group| group == number as i64).count();
        assert_eq!(must_be_regular(signal, &bytes, "a part").items().len(), expected);
    }
    let (max_items, max_bytes) = (dice.roll(4) as usize, [0, 1, 60, 400][dice.roll(4) as usize]);
    let mut found = 0;
    for made in split(data, index, max_items, max_bytes) {
        let bytes = made.to_vec();
        let count = must_be_regular(signal, &bytes, "a slice").items().len();
        assert!(max_items == 0 || count <= max_items);
        assert!(max_bytes == 0 || bytes.len() <= max_bytes || count <= 1);
        found += count;
    }
    assert_eq!(found, items);
}

/// JSON that is read can be written, and then says the same for ever; so does what is written of any request.
pub fn check_json(input: &[u8]) {
    let Some((signal, _, data)) = split_input(input) else { return };
    if let Some(made) = otlp_json::from_json(signal, data) {
        stable(signal, &made);
    }
    stable(signal, data);
}

fn stable(signal: Signal, data: &[u8]) {
    let Some(text) = otlp_json::to_json(signal, data) else { return };
    assert!(std::str::from_utf8(&text).is_ok());
    // `None`: unusual, as values nested too deep; what is read says the same.
    if let Some(back) = otlp_json::from_json(signal, &text) {
        assert!(decode(signal, &back).is_ok());
        if let Some(again) = otlp_json::to_json(signal, &back) {
            assert!(again == text, "{}\n{}", String::from_utf8_lossy(&text), String::from_utf8_lossy(&again));
        }
    }
}

/// Compiled once: it takes longer than an input does.
static SEARCHERS: LazyLock<Vec<Searcher>> = LazyLock::new(|| {
    const PATTERNS: [&str; 5] =
        [r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}", r"\b\d{3}-\d{2}-\d{4}\b", "a", r"\bsk-[a-z]{3,}\b", "x+"];
    (0..5).map(|from| Searcher::new(&PATTERNS[from..]).expect("known patterns")).collect()
});

/// Searching finds values that are there, and only those that match; replacing leaves nothing that matches.
pub fn check_search(input: &[u8]) {
    let Some((signal, mut dice, data)) = split_input(input) else { return };
    let Some(searcher) = SEARCHERS.get(dice.roll(5) as usize) else { return };
    if let Ok(text) = std::str::from_utf8(data) {
        let matches = searcher.matches(text.as_bytes());
        assert_eq!(matches, searcher.find(text.as_bytes()).next().is_some());
        let replaced = searcher.replace(text.as_bytes(), |_, out| -> Result<(), ()> {
            out.extend_from_slice(b"***");
            Ok(())
        });
        assert_eq!(replaced.map(|text| text.is_some()), Ok(matches));
        if text.len() < 40
            && let Ok(searcher) = Searcher::new(&[text])
        {
            let _ = searcher.matches(b"some text 123-45-6789 with a@b.example in it");
        }
    }
    if let Some(index) = regular(signal, data) {
        let level = [None, Some(Level::Item), Some(Level::Resource)][dice.roll(3) as usize];
        for place in search(searcher, data, &index, level, None).places {
            assert!(searcher.matches(&data[place.value]));
        }
    }
}
