//! What patterns find and what stands in place of it.

use std::convert::Infallible;

use otlp_search::Searcher;

const CARD: &str = r"\b(?:\d{4}[ -]?){3}\d{4}\b";
const EMAIL: &str = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}";

fn found(pattern: &str, text: &str) -> Vec<String> {
    let searcher = Searcher::new(&[pattern]).expect(pattern);
    let found: Vec<_> = searcher.find(text.as_bytes()).map(|(_, range)| text[range].to_owned()).collect();
    assert_eq!(searcher.matches(text.as_bytes()), !found.is_empty(), "{pattern:?} in {text:?}");
    found
}

fn stars(patterns: &[&str], text: &str) -> Option<String> {
    let searcher = Searcher::new(patterns).expect("patterns");
    let mask = |_: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(b"****");
        Ok::<_, Infallible>(())
    };
    let Ok(changed) = searcher.replace(text.as_bytes(), mask);
    changed.map(|bytes| String::from_utf8(bytes).expect("text"))
}

#[test]
fn classes_and_borders_are_those_of_ascii() {
    assert_eq!(found(r"\d+", "12 ٣ 4"), ["12", "4"]);
    assert_eq!(found(r"\bcard\b", "écardé card"), ["card", "card"]);
    assert_eq!(found(r"a\sb", "a\u{b}b a\u{a0}b a\tb"), ["a\tb"]);
    assert_eq!(found(r"[[:space:]]b", "\u{b}b"), ["\u{b}b"]);
    assert_eq!(found(r"x\W+y", "xéy x y"), ["xéy", "x y"]);
}

#[test]
fn case_folds_as_in_re2() {
    assert_eq!(found("(?i)k", "kK\u{212a}"), ["k", "K", "\u{212a}"]);
    assert_eq!(found("(?i)[^s]", "sS\u{17f}t"), ["t"]);
    assert_eq!(found(r"(?i)\W", "\u{17f}-"), ["-"]);
    assert_eq!(found("(?i)a(?-i)b", "Ab AB ab"), ["Ab", "ab"]);
}

#[test]
fn the_first_alternative_wins() {
    assert_eq!(found("a|ab", "ab"), ["a"]);
    assert_eq!(found("a+?", "aa"), ["a", "a"]);
    assert_eq!(found("(?U)a+", "aa"), ["a", "a"]);
    assert_eq!(found("(?m)^x.*$", "x1\nx2"), ["x1", "x2"]);
    assert_eq!(found(r"\Qa.b\E+", "a.bb axb"), ["a.bb"]);
    assert_eq!(found("a{,2}", "a{,2}"), ["a{,2}"]);
    assert_eq!(found("世.界", "世\u{1f600}界"), ["世\u{1f600}界"]);
}

#[test]
fn each_pattern_sees_what_those_before_it_left() {
    assert_eq!(stars(&["b+", r"a\*"], "abbb"), Some("*******".into()));
    assert_eq!(stars(&[EMAIL, CARD], "jane@example.com 4111 1111 1111 1111!"), Some("**** ****!".into()));
    assert_eq!(stars(&[CARD], "nothing 1234 here"), None);
    assert_eq!(stars(&[r"x", r"\b12\b"], "x12x"), Some("************".into()));
}

#[test]
fn what_could_differ_is_refused() {
    for pattern in [
        "",
        "a*",
        r"\b",
        "(a*)+b",
        r"\pL",
        r"[\pL]",
        r"\C",
        "(?i)é",
        r"a\1",
        "a**",
        "(",
        ")",
        "[",
        "a{2,1}",
        "a{1001}",
        r"\x{d800}",
        r"\_",
        "[b-a]",
        "*a",
        "[[:nothing:]]",
        "(?x)a b",
        r"\Z",
        r"a\",
        "(?P<>a)",
        r"[^\x00-\x{10FFFF}]",
    ] {
        let error = Searcher::new(&["fine", pattern]).expect_err(pattern);
        assert_eq!(error.number, 1, "{pattern:?}");
        assert!(error.to_string().starts_with("pattern 1 cannot be searched for: "), "{error}");
    }
    let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(Searcher::new(&[deep]).is_err());
}

#[test]
fn needs_never_hide_a_match() {
    for (pattern, text) in [
        (CARD, "4111111111111111"),
        (EMAIL, "a@b.cc"),
        (r"\+\d{1,2}[ .-]?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b", "+1 (555) 123-4567"),
        (r"(?:\d{1,3}\.){3}\d{1,3}", "1.2.3.4"),
        (r"(?i)sk-[a-z]{3}|token=\w", "TOKEN=x"),
        (r"[a-z]{300}", &"q".repeat(300)),
    ] {
        assert_eq!(found(pattern, text), [text]);
    }
}
