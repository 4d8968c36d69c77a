//! `Table`: a decoded request; and the functions that make one.

use otlp_wire::{Decoded, Index, Level, Signal};
use pyo3::exceptions::{PyNotImplementedError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

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
}

#[pymethods]
impl Table {
    /// Return how many rows a level has; 0 for a level that the signal does not have.
    fn row_count(&self, _level: u8) -> PyResult<usize> {
        Err(PyNotImplementedError::new_err("row_count"))
    }

    /// Return for each row of `level` the index of its row at `ancestor`, which must lie outside of it.
    fn parents(&self, _level: u8, _ancestor: u8) -> PyResult<Vec<u32>> {
        Err(PyNotImplementedError::new_err("parents"))
    }

    /// Return one list per field with one value per row (or per named row); all fields are of one level.
    #[pyo3(signature = (fields, rows=None))]
    fn columns<'py>(
        &self,
        _py: Python<'py>,
        fields: &Bound<'py, PyAny>,
        rows: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let _ = (fields, rows);
        Err(PyNotImplementedError::new_err("columns"))
    }

    /// Return the rows of a level that have an attribute key more than once.
    fn repeated_keys(&self, _level: u8) -> PyResult<Vec<u32>> {
        Err(PyNotImplementedError::new_err("repeated_keys"))
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
        Decoded::Regular(index) => Ok(Some(Table { data, index })),
        Decoded::Irregular => Ok(None),
    }
}

/// Add what this file defines to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Table>()?;
    module.add_function(wrap_pyfunction!(count, module)?)?;
    module.add_function(wrap_pyfunction!(decode, module)?)
}
