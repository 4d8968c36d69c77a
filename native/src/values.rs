//! Values as Python objects; those of `untrace_pipeline/data/codecs/values.py`.

use otlp_wire::{Cell, Pairs};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyList, PyString};

/// Makes the objects of one column; what comes several times in a row is made once.
pub struct Maker<'py, 'a> {
    py: Python<'py>,
    last: Option<(&'a [u8], Bound<'py, PyString>)>,
    /// What the attributes of the previous row were, by their place.
    attributes: Vec<Attribute<'py, 'a>>,
}

struct Attribute<'py, 'a> {
    key: &'a [u8],
    made: Bound<'py, PyString>,
    last: Option<(&'a [u8], Bound<'py, PyString>)>,
}

impl<'py, 'a> Maker<'py, 'a> {
    /// Begin a column.
    pub fn new(py: Python<'py>) -> Self {
        Self { py, last: None, attributes: Vec::new() }
    }

    /// Return a list of values.
    pub fn column(&mut self, cells: impl ExactSizeIterator<Item = Cell<'a>>) -> PyResult<Bound<'py, PyList>> {
        let py = self.py;
        PyList::new(py, cells.map(|cell| Made(self.value(cell))))
    }

    fn value(&mut self, cell: Cell<'a>) -> PyResult<Bound<'py, PyAny>> {
        match cell {
            Cell::Text(text) => again(self.py, &mut self.last, text),
            Cell::Map(pairs) => self.map(pairs),
            other => make(self.py, other),
        }
    }

    /// Return all attributes of a row; its keys are most often those of the row before.
    fn map(&mut self, pairs: Pairs<'a>) -> PyResult<Bound<'py, PyAny>> {
        let dict = PyDict::new(self.py);
        let mut count = 0;
        for (place, (key, any)) in pairs.iter().enumerate() {
            if self.attributes.get(place).is_none_or(|known| known.key != key) {
                self.attributes.truncate(place);
                self.attributes.push(Attribute { key, made: PyString::from_bytes(self.py, key)?, last: None });
            }
            let Some(known) = self.attributes.get_mut(place) else { continue };
            let value = match Cell::of_any(any) {
                Cell::Text(text) => again(self.py, &mut known.last, text)?,
                other => make(self.py, other)?,
            };
            dict.set_item(&known.made, value)?;
            count += 1;
        }
        if dict.len() < count { distinct(self.py, pairs) } else { Ok(dict.into_any()) }
    }
}

/// Return a `str`, the one made last time if the bytes are the same.
#[inline]
fn again<'py, 'a>(
    py: Python<'py>,
    last: &mut Option<(&'a [u8], Bound<'py, PyString>)>,
    text: &'a [u8],
) -> PyResult<Bound<'py, PyAny>> {
    if let Some((bytes, made)) = last
        && *bytes == text
    {
        return Ok(made.clone().into_any());
    }
    let made = PyString::from_bytes(py, text)?;
    *last = Some((text, made.clone()));
    Ok(made.into_any())
}

fn make<'py>(py: Python<'py>, cell: Cell<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match cell {
        Cell::Absent => py.None().into_bound(py),
        Cell::Text(text) => PyString::from_bytes(py, text)?.into_any(),
        Cell::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Cell::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
        Cell::Int(value) => value.into_pyobject(py)?.into_any(),
        Cell::Uint(value) => value.into_pyobject(py)?.into_any(),
        Cell::Double(value) => PyFloat::new(py, value).into_any(),
        Cell::Difference(one, other) => match one.checked_sub(other) {
            Some(value) => value.into_pyobject(py)?.into_any(),
            None => (i128::from(one) - i128::from(other)).into_pyobject(py)?.into_any(),
        },
        Cell::List(list) => {
            let made = PyList::empty(py);
            list.iter().try_for_each(|cell| made.append(make(py, cell)?))?;
            made.into_any()
        }
        Cell::Map(pairs) => distinct(py, pairs)?,
    })
}

/// Return a `dict` that shows the first of equal keys.
fn distinct<'py>(py: Python<'py>, pairs: Pairs<'_>) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    for (key, any) in pairs.iter() {
        let key = PyString::from_bytes(py, key)?;
        if !dict.contains(&key)? {
            dict.set_item(key, make(py, Cell::of_any(any))?)?;
        }
    }
    Ok(dict.into_any())
}

/// An element of a list that may have failed to come into being.
struct Made<'py>(PyResult<Bound<'py, PyAny>>);

impl<'py> IntoPyObject<'py> for Made<'py> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, _py: Python<'py>) -> PyResult<Self::Output> {
        self.0
    }
}
