//! The Python module `untrace_pipeline_native`. One file per area; each adds its classes in `register`.

use pyo3::prelude::*;

pub mod edits;
pub mod egress;
pub mod encode;
pub mod errors;
pub mod ingress;
pub mod json;
pub mod search;
pub mod table;
pub mod values;

#[pymodule]
mod untrace_pipeline_native {
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        table::register(module)?;
        egress::register(module)?;
        ingress::register(module)?;
        json::register(module)?;
        search::register(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
