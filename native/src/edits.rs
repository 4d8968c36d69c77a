//! Writing requests: what `Table` passes on.

use otlp_wire::Index;
use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// See `Table.rewrite`.
pub fn rewrite<'py>(
    _py: Python<'py>,
    _data: &[u8],
    _index: &Index,
    _edits: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    Err(PyNotImplementedError::new_err("rewrite"))
}

/// See `Table.partition`.
pub fn partition<'py>(
    _py: Python<'py>,
    _data: &[u8],
    _index: &Index,
    _groups: &Bound<'py, PyAny>,
    _count: usize,
) -> PyResult<Bound<'py, PyList>> {
    Err(PyNotImplementedError::new_err("partition"))
}

/// See `Table.split`.
pub fn split<'py>(
    _py: Python<'py>,
    _data: &[u8],
    _index: &Index,
    _max_items: usize,
    _max_bytes: usize,
) -> PyResult<Bound<'py, PyList>> {
    Err(PyNotImplementedError::new_err("split"))
}
