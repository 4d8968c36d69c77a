//! Writing requests: what `Table` passes on to `otlp_edit`, in its own terms.

use otlp_edit::{Column, EditError, Edits, FixedField, Pieces, Target, attribute_tag, fixed_field};
use otlp_wire::{Index, Level, Signal};
use pyo3::exceptions::{PyIndexError, PyKeyError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::encode::{Encoder, Failure, items_of, long_bytes, replaced};
use crate::table::{LARGE, level};

/// Room for the new values of a few items, in bytes.
const ROOM: usize = 1024;

/// See `Table.rewrite`.
pub fn rewrite<'py>(
    py: Python<'py>,
    data: &[u8],
    index: &Index,
    edits: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let fields = edited_fields(index.signal, edits)?;
    let mut encoder = Encoder::default();
    encoder.values.buffer().reserve(ROOM);
    let mut columns = Vec::with_capacity(fields.len());
    for (number, field) in fields.iter().enumerate() {
        let (level, target) = (field.level, field.target()?);
        let rows = encoder.rows(number, &target, attribute_tag(index.signal, level), &field.rows)?;
        columns.push(Column { level, target, rows });
    }
    let Encoder { values, texts, failures } = encoder;
    let texts = texts.iter().map(long_bytes).collect::<PyResult<_>>()?;
    let edits = Edits { columns, drops: dropped_rows(edits)?, values, texts };
    let written = unlocked(py, data.len(), || otlp_edit::rewrite(data, index, &edits));
    match written {
        Ok(pieces) => to_bytes(py, &pieces),
        Err(error) => Err(to_exception(py, &error, &fields, failures)),
    }
}

/// See `Table.partition`.
pub fn partition<'py>(
    py: Python<'py>,
    data: &[u8],
    index: &Index,
    groups: &Bound<'py, PyAny>,
    count: usize,
) -> PyResult<Bound<'py, PyList>> {
    let groups: Vec<i64> = groups.extract()?;
    let items = index.items().len();
    if groups.len() != items {
        return Err(PyValueError::new_err(format!("{} groups for {items} items", groups.len())));
    }
    let parts = unlocked(py, data.len(), || otlp_edit::partition(data, index, &groups, count));
    to_list(py, &parts)
}

/// See `Table.split`.
pub fn split<'py>(
    py: Python<'py>,
    data: &[u8],
    index: &Index,
    max_items: usize,
    max_bytes: usize,
) -> PyResult<Bound<'py, PyList>> {
    let parts = unlocked(py, data.len(), || otlp_edit::split(data, index, max_items, max_bytes));
    to_list(py, &parts)
}

/// Do something about that many bytes, without the GIL if they are many.
fn unlocked<T: Send>(py: Python<'_>, size: usize, work: impl FnOnce() -> T + Send) -> T {
    if size > LARGE { py.detach(work) } else { work() }
}

fn to_list<'py>(py: Python<'py>, parts: &[Pieces<'_>]) -> PyResult<Bound<'py, PyList>> {
    let parts = parts.iter().map(|pieces| to_bytes(py, pieces)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, parts)
}

/// Write everything straight into a new `bytes`: pages of a buffer in between cost more than the copying.
fn to_bytes<'py>(py: Python<'py>, pieces: &Pieces<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let size = pieces.len();
    PyBytes::new_with(py, size, |target| {
        unlocked(py, size, || fill(target, pieces.slices()));
        Ok(())
    })
}

/// Copy slices one after the other.
fn fill<'a>(mut target: &mut [u8], slices: impl Iterator<Item = &'a [u8]>) {
    for slice in slices {
        let Some((space, rest)) = std::mem::take(&mut target).split_at_mut_checked(slice.len()) else { return };
        space.copy_from_slice(slice);
        target = rest;
    }
}

// ---------------------------------------------------------------- which fields, which rows

/// A key of `Edits.values` and its value.
struct EditedField<'py> {
    field: Bound<'py, PyAny>,
    level: Level,
    target: EditedTarget<'py>,
    rows: Bound<'py, PyDict>,
}

enum EditedTarget<'py> {
    Fixed(FixedField),
    Key(Bound<'py, PyString>),
    /// A key that has no UTF-8 form, with `?` in place of what has none.
    NewKey(Vec<u8>),
    Map,
}

impl EditedField<'_> {
    fn target(&self) -> PyResult<Target<'_>> {
        Ok(match &self.target {
            EditedTarget::Fixed(fixed) => Target::Fixed(*fixed),
            EditedTarget::Key(key) => Target::Key { key: key.to_str()?.as_bytes(), found: true },
            EditedTarget::NewKey(key) => Target::Key { key, found: false },
            EditedTarget::Map => Target::Map,
        })
    }
}

fn edited_fields<'py>(signal: Signal, edits: &Bound<'py, PyAny>) -> PyResult<Vec<EditedField<'py>>> {
    let py = edits.py();
    let values = edits.getattr(intern!(py, "values"))?;
    let mut fields = Vec::new();
    for (field, rows) in items_of(values.cast()?) {
        let level = level(field.getattr(intern!(py, "level"))?.extract()?)?;
        let name = field.getattr(intern!(py, "name"))?;
        let name = name.cast::<PyString>()?.to_str()?;
        let target = if name == "attributes" {
            match field.getattr(intern!(py, "key"))?.cast_into::<PyString>() {
                Err(_) => EditedTarget::Map,
                Ok(key) if key.to_str().is_ok() => EditedTarget::Key(key),
                Ok(key) => EditedTarget::NewKey(replaced(&key)?.as_bytes().to_vec()),
            }
        } else {
            EditedTarget::Fixed(
                fixed_field(signal, level, name)
                    .ok_or_else(|| PyKeyError::new_err(format!("{} have no field {field}", signal.name())))?,
            )
        };
        fields.push(EditedField { level, target, rows: rows.cast_into()?, field });
    }
    Ok(fields)
}

fn dropped_rows(edits: &Bound<'_, PyAny>) -> PyResult<Vec<(Level, Vec<u32>)>> {
    let mut drops = Vec::new();
    for (number, rows) in items_of(edits.getattr(intern!(edits.py(), "drop"))?.cast()?) {
        let rows = rows.try_iter()?.map(|row| row?.extract()).collect::<PyResult<_>>()?;
        drops.push((level(number.extract()?)?, rows));
    }
    Ok(drops)
}

// ---------------------------------------------------------------- errors

fn to_exception(py: Python<'_>, error: &EditError, fields: &[EditedField<'_>], failures: Vec<Failure>) -> PyErr {
    let named = |column: usize, cause: &dyn std::fmt::Display| match fields.get(column) {
        Some(edited) => PyValueError::new_err(format!("{}: {cause}", edited.field)),
        None => PyValueError::new_err(cause.to_string()),
    };
    match *error {
        EditError::Failed(slot) => match failures.into_iter().find(|failure| failure.slot == slot) {
            Some(failure) => {
                let raised = named(failure.column, failure.cause.value(py));
                raised.set_cause(py, Some(failure.cause));
                raised
            }
            None => PyValueError::new_err(error.to_string()),
        },
        EditError::Unfit(column) => named(column, error),
        EditError::NoRow(..) => PyIndexError::new_err(error.to_string()),
        EditError::Decode(ref cause) => crate::errors::decode_error(py, cause),
    }
}
