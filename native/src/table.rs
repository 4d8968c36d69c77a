//! `Table`: a decoded request; and the functions that make one.

use std::sync::OnceLock;

use otlp_wire::{Column, Decoded, Index, Level, Node, Signal, columns, fixed};
use pyo3::exceptions::{PyIndexError, PyKeyError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::values::Maker;
use crate::{edits, errors};

/// Inputs above this release the GIL; below, taking it again costs more than it gives others.
pub const LARGE: usize = 64 << 10;

/// A decoded request: rows per level, in wire order. See `untrace_pipeline.data.codec.Table`.
#[pyclass(frozen, module = "untrace_pipeline_native")]
pub struct Table {
    /// The request.
    pub data: Py<PyBytes>,
    /// Where its messages lie.
    pub index: Index,
    events: OnceLock<Vec<Node>>,
    links: OnceLock<Vec<Node>>,
}

impl Table {
    /// Make a table of a request and its index.
    pub fn new(data: Py<PyBytes>, index: Index) -> Self {
        Self { data, index, events: OnceLock::new(), links: OnceLock::new() }
    }

    /// Return the rows of a level; events and links are looked for on first use.
    pub fn rows(&self, py: Python<'_>, level: Level) -> &[Node] {
        let nested = || self.index.nested(self.data.as_bytes(py), level);
        match level {
            Level::Event => self.events.get_or_init(nested),
            Level::Link => self.links.get_or_init(nested),
            _ => self.index.level(level).unwrap_or_default(),
        }
    }
}

#[pymethods]
impl Table {
    /// Return how many rows a level has; 0 for a level that the signal does not have.
    fn row_count(&self, py: Python<'_>, level: u8) -> PyResult<usize> {
        Ok(self.rows(py, self::level(level)?).len())
    }

    /// Return for each row of `level` the index of its row at `ancestor`, which must lie outside of it.
    fn parents(&self, py: Python<'_>, level: u8, ancestor: u8) -> PyResult<Vec<u32>> {
        let (level, ancestor) = (self::level(level)?, self::level(ancestor)?);
        self.index.parents(self.rows(py, level), level, ancestor).ok_or_else(|| {
            let (outer, inner, signal) = (ancestor.name(), level.name(), self.index.signal.name());
            PyValueError::new_err(format!("{outer} lies not outside of {inner} in {signal}"))
        })
    }

    /// Return one list per field with one value per row (or per named row); all fields are of one level.
    #[pyo3(signature = (fields, rows=None))]
    fn columns<'py>(
        &self,
        py: Python<'py>,
        fields: &Bound<'py, PyAny>,
        rows: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut level = None;
        let mut wanted = Vec::new();
        for field in fields.try_iter()? {
            let field = field?;
            if level.is_none() {
                level = Some(self::level(field.getattr(intern!(py, "level"))?.extract()?)?);
            }
            wanted.push(Wanted::of(field)?);
        }
        let Some(level) = level else { return Ok(PyList::empty(py)) };
        let wanted = wanted.iter().map(|field| field.column(self.index.signal, level)).collect::<PyResult<Vec<_>>>()?;
        let all = self.rows(py, level);
        let data = self.data.as_bytes(py);
        let cells = match rows {
            None => columns(data, &self.index, level, all.iter().copied(), &wanted),
            Some(rows) => {
                let chosen = rows
                    .try_iter()?
                    .map(|row| all.get(row?.extract::<usize>()?).copied().ok_or_else(no_row))
                    .collect::<PyResult<Vec<_>>>()?;
                columns(data, &self.index, level, chosen.iter().copied(), &wanted)
            }
        };
        let made = PyList::empty(py);
        for number in 0..wanted.len() {
            made.append(Maker::new(py).column(cells.column(number))?)?;
        }
        Ok(made)
    }

    /// Return the rows of a level that have an attribute key more than once.
    fn repeated_keys(&self, py: Python<'_>, level: u8) -> PyResult<Vec<u32>> {
        let level = self::level(level)?;
        Ok(self.index.repeated_keys(self.data.as_bytes(py), level, self.rows(py, level)))
    }

    /// Return start and end offset of each item's message body in the request.
    fn ranges<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let items = self.index.items();
        let starts = PyList::new(py, items.iter().map(|item| item.start))?;
        let ends = PyList::new(py, items.iter().map(|item| item.end))?;
        PyTuple::new(py, [starts, ends])
    }

    /// Return the request with the edits applied.
    fn rewrite<'py>(&self, py: Python<'py>, edits: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        edits::rewrite(py, self.data.as_bytes(py), &self.index, edits)
    }

    /// Return `count` requests; item `i` goes to `groups[i]`, or nowhere where that is negative.
    fn partition<'py>(
        &self,
        py: Python<'py>,
        groups: &Bound<'py, PyAny>,
        count: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        edits::partition(py, self.data.as_bytes(py), &self.index, groups, count)
    }

    /// Return requests of at most that many items and bytes (0 = no limit), in order.
    fn split<'py>(&self, py: Python<'py>, max_items: usize, max_bytes: usize) -> PyResult<Bound<'py, PyList>> {
        edits::split(py, self.data.as_bytes(py), &self.index, max_items, max_bytes)
    }
}

/// A `Field` of the Python side.
enum Wanted<'py> {
    Attribute(Bound<'py, PyString>),
    Other(Bound<'py, PyAny>),
}

impl<'py> Wanted<'py> {
    fn of(field: Bound<'py, PyAny>) -> PyResult<Self> {
        let key = field.getattr(intern!(field.py(), "key"))?;
        Ok(if key.is_none() { Self::Other(field) } else { Self::Attribute(key.cast_into()?) })
    }

    fn column(&self, signal: Signal, level: Level) -> PyResult<Column<'_>> {
        let field = match self {
            // No request holds a key that is not UTF-8, and 0xFF never is.
            Self::Attribute(key) => return Ok(Column::Attribute(key.to_str().map_or(&[0xFF], str::as_bytes))),
            Self::Other(field) => field,
        };
        let name = field.getattr(intern!(field.py(), "name"))?.cast_into::<PyString>()?;
        match name.to_str()? {
            "attributes" => Ok(Column::Attributes),
            name => fixed(signal, level, name)
                .map(Column::Fixed)
                .ok_or_else(|| PyKeyError::new_err(format!("{} have no field {field}", signal.name()))),
        }
    }
}

#[cold]
fn no_row() -> PyErr {
    PyIndexError::new_err("list index out of range")
}

/// Return a signal by its name.
pub fn signal(name: &str) -> PyResult<Signal> {
    match name {
        "traces" => Ok(Signal::Traces),
        "metrics" => Ok(Signal::Metrics),
        "logs" => Ok(Signal::Logs),
        other => Err(PyValueError::new_err(format!("no signal is called {other:?}"))),
    }
}

/// Return a level by its number.
pub fn level(number: u8) -> PyResult<Level> {
    match number {
        0 => Ok(Level::Resource),
        1 => Ok(Level::Scope),
        2 => Ok(Level::Metric),
        3 => Ok(Level::Item),
        4 => Ok(Level::Event),
        5 => Ok(Level::Link),
        other => Err(PyValueError::new_err(format!("no level has the number {other}"))),
    }
}

/// Return the number of items by walking the wire format, or `None` for irregular bytes.
#[pyfunction]
fn count(py: Python<'_>, signal: &str, data: &Bound<'_, PyBytes>) -> PyResult<Option<usize>> {
    otlp_wire::count(self::signal(signal)?, data.as_bytes()).map_err(|error| errors::decode_error(py, &error))
}

/// Decode a request completely, or return `None` for irregular bytes.
#[pyfunction]
fn decode(py: Python<'_>, signal: &str, data: Py<PyBytes>) -> PyResult<Option<Table>> {
    let signal = self::signal(signal)?;
    let bytes = data.as_bytes(py);
    let decoded = if bytes.len() > LARGE {
        py.detach(|| otlp_wire::decode(signal, bytes))
    } else {
        otlp_wire::decode(signal, bytes)
    };
    match decoded.map_err(|error| errors::decode_error(py, &error))? {
        Decoded::Regular(index) => Ok(Some(Table::new(data, index))),
        Decoded::Irregular => Ok(None),
    }
}

/// Add what this file defines to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Table>()?;
    module.add_function(wrap_pyfunction!(count, module)?)?;
    module.add_function(wrap_pyfunction!(decode, module)?)
}
