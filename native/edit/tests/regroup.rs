//! Cutting requests into parts.

mod support;

use otlp_edit::{partition, split};
use otlp_wire::Signal;
use support::{FOREIGN, field, index, request, span};

fn parts(data: &[u8], groups: &[i64], count: usize) -> Vec<Vec<u8>> {
    let index = index(Signal::Traces, data);
    partition(data, &index, groups, count).iter().map(otlp_edit::Pieces::to_vec).collect()
}

fn cut(data: &[u8], max_items: usize, max_bytes: usize) -> Vec<Vec<u8>> {
    let index = index(Signal::Traces, data);
    let parts = split(data, &index, max_items, max_bytes);
    parts.iter().map(|part| assert_eq!(part.to_vec().len(), part.len())).for_each(drop);
    parts.iter().map(otlp_edit::Pieces::to_vec).collect()
}

fn named(name: &str) -> Vec<u8> {
    span(&[&field(5, &[name.as_bytes()])])
}

#[test]
fn containers_are_repeated() {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let data = request(&[&a, &b, &c]);
    assert_eq!(parts(&data, &[0, 1, 0], 2), [request(&[&a, &c]), request(&[&b])]);
    assert_eq!(parts(&data, &[-1, 0, 7], 2), [request(&[&b]), FOREIGN.to_vec()]);
    assert_eq!(parts(&data, &[0, 0, 0], 1), std::slice::from_ref(&data));
    assert_eq!(parts(b"", &[], 1), [b""]);
    assert!(parts(&data, &[0, 0, 0], 0).is_empty());
}

#[test]
fn containers_without_items_of_a_part_are_left_out() {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let resource = field(1, &[]);
    let one = field(1, &[&resource, &field(2, &[&a, FOREIGN, &b]), &field(2, &[]), &field(3, &[b"u"])]);
    let two = field(1, &[&field(2, &[&c])]);
    let data = [one, field(1, &[]), two.clone(), FOREIGN.to_vec()].concat();
    let part = |scope: &[u8]| [field(1, &[&resource, scope, &field(3, &[b"u"])]), FOREIGN.to_vec()].concat();
    let wanted = [part(&field(2, &[&a, FOREIGN])), part(&field(2, &[&b, FOREIGN])), [two, FOREIGN.to_vec()].concat()];
    assert_eq!(parts(&data, &[0, 1, 2], 3), wanted);
}

#[test]
fn split_by_items() {
    let items: Vec<Vec<u8>> = ["a", "b", "c", "d", "e"].map(named).into();
    let data = request(&items.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let wanted = [request(&[&items[0], &items[1]]), request(&[&items[2], &items[3]]), request(&[&items[4]])];
    assert_eq!(cut(&data, 2, 0), wanted);
    assert_eq!(cut(&data, 5, 0), std::slice::from_ref(&data));
    assert_eq!(cut(&data, 0, 0), std::slice::from_ref(&data));
    assert_eq!(cut(&data, 0, data.len()), [data]);
    assert_eq!(cut(b"", 1, 1), [b""]);
}

#[test]
fn split_by_bytes_is_exact() {
    let long = "x".repeat(120);
    let items: Vec<Vec<u8>> = (0..20).map(|number| named(&long[..number * 6])).collect();
    let scope = |items: &[Vec<u8>]| field(2, &[FOREIGN, &items.concat()]);
    let data = [field(1, &[&scope(&items[..3]), &scope(&items[3..8])]), field(1, &[&scope(&items[8..])])].concat();
    for limit in 1..data.len() + 2 {
        let parts = cut(&data, 0, limit);
        let counts: Vec<usize> = parts.iter().map(|part| index(Signal::Traces, part).items().len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 20);
        let mut first = 0;
        for (number, &count) in counts.iter().enumerate() {
            assert!(parts[number].len() <= limit || count == 1, "limit {limit}");
            first += count;
            if first < 20 {
                let groups: Vec<i64> =
                    (0..20).map(|row| if (first - count..=first).contains(&row) { 0 } else { -1 }).collect();
                assert!(super_len(&data, &groups) > limit, "one more would have fitted into {limit}");
            }
        }
    }
}

fn super_len(data: &[u8], groups: &[i64]) -> usize {
    parts(data, groups, 1)[0].len()
}
