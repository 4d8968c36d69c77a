//! The project's exceptions, imported once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

static DECODE_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Return `DecodeError(message, offset=…)`.
pub fn decode_error(py: Python<'_>, error: &otlp_wire::DecodeError) -> PyErr {
    let made = DECODE_ERROR.import(py, "untrace_pipeline.errors", "DecodeError").and_then(|class| {
        let named = PyDict::new(py);
        named.set_item("offset", error.offset)?;
        class.call((error.message.as_ref(),), Some(&named))
    });
    made.map_or_else(|problem| problem, PyErr::from_value)
}
