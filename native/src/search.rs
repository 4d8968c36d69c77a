//! `Searcher`: many patterns over the values of a table, without making Python strings of what does not match.

use otlp_search::{Frame, Keys, Kind, Place, Text};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::table::{LARGE, Table, level, signal};

/// Patterns in RE2's syntax; each finds what RE2 and Go find: leftmost-first, not overlapping.
///
/// Raises `ValueError` for a pattern that is not known to mean the same here as in RE2.
#[pyclass(frozen, module = "untrace_pipeline_native")]
pub struct Searcher {
    inner: otlp_search::Searcher,
}

/// Level, row, key (`None` for a body), start and end of a value in the request.
type PyPlace<'py> = (u8, u32, Option<Bound<'py, PyString>>, usize, usize);
/// Places, hidden values, bodies.
type PyFound<'py> = (Vec<PyPlace<'py>>, Vec<(u8, u32)>, Vec<(u32, bool)>);

#[pymethods]
impl Searcher {
    #[new]
    fn new(py: Python<'_>, patterns: Vec<String>) -> PyResult<Self> {
        let compiled = py.detach(|| otlp_search::Searcher::new(&patterns));
        compiled.map(|inner| Self { inner }).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Whether any pattern matches anywhere in a text, which must be UTF-8.
    fn matches(&self, text: &[u8]) -> bool {
        self.inner.matches(text)
    }

    /// Return number of the pattern, start and end of all matches, pattern by pattern.
    fn find(&self, text: &[u8]) -> Vec<(usize, usize, usize)> {
        self.inner.find(text).map(|(number, range)| (number, range.start, range.end)).collect()
    }

    /// Replace matches with `mask`, or with what it returns for each; one pattern after the other, each in what those
    /// before it left. Returns the same object where nothing matches.
    fn replace<'py>(
        &self,
        py: Python<'py>,
        text: Bound<'py, PyBytes>,
        mask: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let constant = mask.cast::<PyBytes>().ok().map(|mask| mask.as_bytes());
        let changed = self.inner.replace(text.as_bytes(), |found, out| {
            if let Some(constant) = constant {
                out.extend_from_slice(constant);
            } else {
                out.extend_from_slice(mask.call1((PyBytes::new(py, found),))?.cast::<PyBytes>()?.as_bytes());
            }
            Ok::<_, PyErr>(())
        })?;
        Ok(changed.map_or(text, |changed| PyBytes::new(py, &changed)))
    }

    /// Search the string values of a table: attributes of resources, scopes, items and span events, bodies of log
    /// records; of one level, under one key, or all. Strings within lists and maps are not looked at.
    ///
    /// Returns three lists. The values in which a pattern matches: level, row, key (`None` for a body), start and end in
    /// the request. Level and row of such values that lie behind an equal key, so that columns do not show them. The
    /// rows of bodies that are neither strings nor absent, and whether a string inside of it matches.
    #[pyo3(signature = (table, level=None, key=None))]
    fn search<'py>(
        &self,
        py: Python<'py>,
        table: &Bound<'py, Table>,
        level: Option<u8>,
        key: Option<&str>,
    ) -> PyResult<PyFound<'py>> {
        let level = level.map(self::level).transpose()?;
        let key = key.map(str::as_bytes);
        let Table { data, index, .. } = table.get();
        let data = data.as_bytes(py);
        let search = || otlp_search::search(&self.inner, data, index, level, key);
        let found = if data.len() > LARGE { py.detach(search) } else { search() };
        let places = found.places.into_iter().map(|Place { level, row, key, value }| {
            let key = key.map(|key| PyString::from_bytes(py, data.get(key).unwrap_or_default())).transpose()?;
            Ok((level as u8, row, key, value.start, value.end))
        });
        let hidden = found.hidden.into_iter().map(|(level, row)| (level as u8, row));
        Ok((places.collect::<PyResult<_>>()?, hidden.collect(), found.bodies))
    }
}

/// Parent (its place in the list), tag, beginning with the tag, start and stop of the content of a field.
type PyFrame = (Option<usize>, u32, usize, usize, usize);
/// Frame, name, owner, item, event, field; whether it is a key, whether it is bytes, the number that it is.
type PyText = (usize, String, usize, Option<usize>, Option<usize>, Option<usize>, bool, bool, Option<u64>);

/// An object with the methods `is_ignored` and `is_clean`.
struct PyKeys<'a, 'py>(&'a Bound<'py, PyAny>);

impl Keys for PyKeys<'_, '_> {
    type Error = PyErr;

    fn is_ignored(&self, name: &str) -> PyResult<bool> {
        self.0.call_method1(intern!(self.0.py(), "is_ignored"), (name,))?.extract()
    }

    fn is_clean(&self, key: &str) -> PyResult<bool> {
        self.0.call_method1(intern!(self.0.py(), "is_clean"), (key,))?.extract()
    }
}

/// Return the texts of a request in which the bytes before ascending offsets lie, in wire order, or `None` for
/// irregular bytes: frames, and texts that name them by their place.
#[pyfunction]
fn texts(
    signal: &str,
    data: &[u8],
    ends: Vec<usize>,
    keys: &Bound<'_, PyAny>,
) -> PyResult<Option<(Vec<PyFrame>, Vec<PyText>)>> {
    let found = otlp_search::texts(self::signal(signal)?, data, &ends, &PyKeys(keys))?;
    Ok(found.map(|texts| {
        (texts.frames.into_iter().map(py_frame).collect(), texts.found.into_iter().map(py_text).collect())
    }))
}

fn py_frame(Frame { parent, tag, begin, start, stop }: Frame) -> PyFrame {
    (parent, tag, begin, start, stop)
}

fn py_text(Text { frame, name, owner, item, event, field, kind }: Text) -> PyText {
    let number = if let Kind::Number(number) = kind { Some(number) } else { None };
    (frame, name, owner, item, event, field, kind == Kind::Key, kind == Kind::Bytes, number)
}

/// Add what this file defines to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Searcher>()?;
    module.add_function(wrap_pyfunction!(texts, module)?)
}
