//! OTLP JSON both ways. `None` leaves the decision, and the words for it, to the Python implementation.

use otlp_wire::Signal;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::table::{LARGE, signal};

/// Return an OTLP JSON request as protobuf.
#[pyfunction]
fn from_json<'py>(py: Python<'py>, signal: &str, data: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
    convert(py, self::signal(signal)?, data, otlp_json::from_json)
}

/// Return a protobuf request as OTLP JSON.
#[pyfunction]
fn to_json<'py>(py: Python<'py>, signal: &str, data: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
    convert(py, self::signal(signal)?, data, otlp_json::to_json)
}

fn convert<'py>(
    py: Python<'py>,
    signal: Signal,
    data: &[u8],
    function: fn(Signal, &[u8]) -> Option<Vec<u8>>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let made = if data.len() > LARGE { py.detach(|| function(signal, data)) } else { function(signal, data) };
    Ok(made.map(|bytes| PyBytes::new(py, &bytes)))
}

/// Add what this file defines to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(from_json, module)?)?;
    module.add_function(wrap_pyfunction!(to_json, module)?)
}
