//! Python values on their way into the bytes of a request; those of `untrace_pipeline/data/codecs/values.py`.

use otlp_edit::{
    AnyValue, Form, Scalar, Slot, Target, Values, put_attribute, put_attribute_of_text, put_body_of_text, put_field,
};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

/// An `AnyValue` of an exemplar lies nine messages deep in a request; protobuf reads at most 100.
const MAX_DEPTH: i32 = 90;

/// From this length on, texts are not copied into the buffer of new values: it costs more than to refer to them.
const LONG: usize = 512;

/// What a map holds.
pub type Pairs<'py> = Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

/// Return what a `dict` holds now: code that runs while its values are looked at may change it.
pub fn items_of<'py>(dict: &Bound<'py, PyDict>) -> Pairs<'py> {
    dict.iter().collect()
}

/// A value that cannot be written. It matters only if its row stays.
pub struct Failure {
    /// What stands for it.
    pub slot: Slot,
    /// The number of its column.
    pub column: usize,
    /// Why.
    pub cause: PyErr,
}

/// New values on their way into bytes.
#[derive(Default)]
pub struct Encoder<'py> {
    /// What was written.
    pub values: Values,
    /// Long texts and bytes, which are not copied.
    pub texts: Vec<Bound<'py, PyAny>>,
    /// What could not be written.
    pub failures: Vec<Failure>,
}

impl<'py> Encoder<'py> {
    /// Encode the values of a column, given by their rows; `tag` is that of attributes.
    pub fn rows(
        &mut self,
        column: usize,
        target: &Target<'_>,
        tag: u8,
        values: &Bound<'py, PyDict>,
    ) -> PyResult<Vec<(u32, Slot)>> {
        let mut rows: Vec<(u32, Slot)> = Vec::with_capacity(values.len());
        let mut last: Option<(Bound<'py, PyAny>, Slot)> = None;
        let mut sorted = true;
        for (row, value) in items_of(values) {
            let row = row.extract()?;
            let slot = match &last {
                Some((same, slot)) if same.is(&value) => *slot,
                _ => {
                    let slot = self.slot(target, tag, column, &value)?;
                    last = Some((value, slot));
                    slot
                }
            };
            sorted &= rows.last().is_none_or(|&(before, _)| before < row);
            rows.push((row, slot));
        }
        if !sorted {
            rows.sort_unstable_by_key(|&(row, _)| row);
        }
        Ok(rows)
    }

    fn slot(&mut self, target: &Target<'_>, tag: u8, column: usize, value: &Bound<'py, PyAny>) -> PyResult<Slot> {
        let made = match target {
            Target::Key { .. } | Target::Map if value.is_none() => Ok(Slot::REMOVE),
            Target::Key { key, .. } => self.attribute(tag, key, value),
            Target::Map => self.map(tag, value),
            Target::Fixed(fixed) => self.fixed(fixed.form, value),
        };
        made.or_else(|cause| {
            let py = value.py();
            let kinds = (cause.is_instance_of::<PyValueError>(py), cause.is_instance_of::<PyTypeError>(py));
            if kinds == (false, false) && !cause.is_instance_of::<PyOverflowError>(py) {
                return Err(cause);
            }
            let slot = self.values.failed();
            self.failures.push(Failure { slot, column, cause });
            Ok(slot)
        })
    }

    fn attribute(&mut self, tag: u8, key: &[u8], value: &Bound<'py, PyAny>) -> PyResult<Slot> {
        let buffer = self.values.buffer();
        let long = with_value(value, MAX_DEPTH, |any| match long_text(any, value) {
            Some((is_text, len)) => {
                put_attribute_of_text(buffer, tag, key, is_text, len);
                true
            }
            None => {
                put_attribute(buffer, tag, key, any);
                false
            }
        })?;
        Ok(if long { self.long_slot(value) } else { self.values.slot() })
    }

    fn body(&mut self, value: &Bound<'py, PyAny>) -> PyResult<Slot> {
        let buffer = self.values.buffer();
        let long = with_value(value, MAX_DEPTH, |any| match long_text(any, value) {
            Some((is_text, len)) => {
                put_body_of_text(buffer, is_text, len);
                true
            }
            None => {
                Scalar::Any(*any).put(buffer);
                false
            }
        })?;
        Ok(if long { self.long_slot(value) } else { self.values.slot() })
    }

    fn long_slot(&mut self, value: &Bound<'py, PyAny>) -> Slot {
        self.texts.push(value.clone());
        self.values.slot_with_text(self.texts.len() as u32 - 1)
    }

    fn map(&mut self, tag: u8, value: &Bound<'py, PyAny>) -> PyResult<Slot> {
        let Some(pairs) = pairs_of(value)? else {
            return Err(PyTypeError::new_err("the whole map of attributes must be a map"));
        };
        put_pairs(self.values.buffer(), tag, pairs, MAX_DEPTH)?;
        Ok(self.values.slot())
    }

    fn fixed(&mut self, form: Form, value: &Bound<'py, PyAny>) -> PyResult<Slot> {
        if form == Form::ReadOnly {
            return Err(PyValueError::new_err("cannot be set"));
        }
        if value.is_none() {
            return Ok(Slot::REMOVE);
        }
        let scalar = match form {
            Form::Text => Scalar::Bytes(strict_text(value)?),
            Form::Id(size) => match value.cast::<PyBytes>().map(|id| id.as_bytes()) {
                Ok(id) if id.is_empty() || id.len() == size => Scalar::Bytes(id),
                _ => return Err(PyValueError::new_err(format!("an id of {size} bytes is needed"))),
            },
            Form::Enum(names) => Scalar::Varint(i64::from(enum_number(value, names)?) as u64),
            Form::Uint32 => Scalar::Varint(integer::<u32>(value)?.into()),
            Form::Fixed32 => Scalar::Fixed32(integer(value)?),
            Form::Fixed64 => Scalar::Fixed64(integer(value)?),
            Form::Bool => Scalar::Varint((value.extract::<i64>()? != 0).into()),
            Form::Double => Scalar::Double(value.extract()?),
            Form::Number if value.is_instance_of::<PyInt>() => Scalar::PointInt(integer(value)?),
            Form::Number => Scalar::PointDouble(value.extract()?),
            Form::Any | Form::ReadOnly => return self.body(value),
        };
        scalar.put(self.values.buffer());
        Ok(self.values.slot())
    }
}

/// Return whether a long value is text or bytes, and its length, if its bytes are those of the object itself: they stay
/// where they are as long as it lives.
fn long_text(any: &AnyValue<'_>, value: &Bound<'_, PyAny>) -> Option<(bool, usize)> {
    match *any {
        AnyValue::Text(text) if text.len() >= LONG && long_bytes(value).is_ok() => Some((true, text.len())),
        AnyValue::Bytes(bytes) if bytes.len() >= LONG => Some((false, bytes.len())),
        _ => None,
    }
}

/// Return the bytes that an object holds: text or bytes.
pub fn long_bytes<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.as_bytes()),
        Err(_) => Ok(value.cast::<PyBytes>()?.as_bytes()),
    }
}

/// Return the UTF-8 form of a text, with `?` in place of lone surrogates.
pub fn replaced<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    let py = text.py();
    Ok(text.call_method1(intern!(py, "encode"), (intern!(py, "utf-8"), intern!(py, "replace")))?.cast_into()?)
}

fn with_text<R>(text: &Bound<'_, PyString>, work: impl FnOnce(&[u8]) -> R) -> PyResult<R> {
    match text.to_str() {
        Ok(text) => Ok(work(text.as_bytes())),
        Err(_) => Ok(work(replaced(text)?.as_bytes())),
    }
}

/// Do something with the `AnyValue` of a Python value, see `untrace_pipeline/data/codecs/values.py`.
fn with_value<R>(value: &Bound<'_, PyAny>, depth: i32, work: impl FnOnce(&AnyValue<'_>) -> R) -> PyResult<R> {
    if let Ok(text) = value.cast::<PyString>() {
        with_text(text, |text| work(&AnyValue::Text(text)))
    } else if let Ok(number) = value.cast::<PyFloat>() {
        Ok(work(&AnyValue::Double(number.value())))
    } else if let Ok(truth) = value.cast::<PyBool>() {
        Ok(work(&AnyValue::Bool(truth.is_true())))
    } else if value.is_instance_of::<PyInt>() {
        match value.extract() {
            Ok(number) => Ok(work(&AnyValue::Int(number))),
            Err(_) => with_text(&value.str()?, |digits| work(&AnyValue::Text(digits))),
        }
    } else if value.is_none() {
        Ok(work(&AnyValue::Empty))
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        Ok(work(&AnyValue::Bytes(bytes.as_bytes())))
    } else {
        let mut nested = Vec::new();
        put_nested(&mut nested, value, depth)?;
        Ok(work(&AnyValue::Encoded(&nested)))
    }
}

/// Write the `AnyValue` of a map or a list.
fn put_nested(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: i32) -> PyResult<()> {
    const ELEMENT: u8 = 1 << 3 | 2;
    const ARRAY: u8 = 5 << 3 | 2;
    const KVLIST: u8 = 6 << 3 | 2;
    if depth <= 0 {
        return Err(PyValueError::new_err("a value is nested too deep for OTLP"));
    }
    let mut body = Vec::new();
    let mut element = |value: &Bound<'_, PyAny>| {
        with_value(value, depth - 2, |any| {
            Scalar::Any(*any).put({
                body.push(ELEMENT);
                &mut body
            });
        })
    };
    if let Ok(list) = value.cast::<PyList>() {
        list.iter().try_for_each(|value| element(&value))?;
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        tuple.iter().try_for_each(|value| element(&value))?;
    } else if let Some(pairs) = pairs_of(value)? {
        put_pairs(&mut body, ELEMENT, pairs, depth - 3)?;
        put_field(out, KVLIST, &body);
        return Ok(());
    } else {
        let name = value.get_type().name()?;
        return Err(PyValueError::new_err(format!("OTLP has no value for {name}")));
    }
    put_field(out, ARRAY, &body);
    Ok(())
}

/// Return what a map holds, or `None` for what is no map.
fn pairs_of<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Pairs<'py>>> {
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return Ok(Some(items_of(dict)));
    }
    match value.cast::<PyMapping>() {
        Ok(mapping) => mapping.items()?.iter().map(|pair| pair.extract()).collect::<PyResult<_>>().map(Some),
        Err(_) => Ok(None),
    }
}

fn put_pairs(out: &mut Vec<u8>, tag: u8, pairs: Pairs<'_>, depth: i32) -> PyResult<()> {
    for (key, value) in pairs {
        let Ok(key) = key.cast::<PyString>() else {
            return Err(PyValueError::new_err("the keys of a map must be text"));
        };
        with_value(&value, depth, |any| with_text(key, |key| put_attribute(out, tag, key, any)))??;
    }
    Ok(())
}

// ---------------------------------------------------------------- fixed fields, with protobuf's own conditions

fn strict_text<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes());
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => match std::str::from_utf8(bytes.as_bytes()) {
            Ok(text) => Ok(text.as_bytes()),
            Err(error) => Err(PyValueError::new_err(error.to_string())),
        },
        Err(_) => Err(PyTypeError::new_err("text is needed")),
    }
}

fn enum_number(value: &Bound<'_, PyAny>, names: &[(&str, i32)]) -> PyResult<i32> {
    let Ok(label) = value.cast::<PyString>() else { return integer(value) };
    let label = label.to_str()?;
    let found = names.iter().find(|(name, _)| *name == label).map(|&(_, number)| number);
    found.ok_or_else(|| PyValueError::new_err(format!("unknown enum label \"{label}\"")))
}

fn integer<'py, T>(value: &Bound<'py, PyAny>) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    if value.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err("Expected an int, got a boolean."));
    }
    value.extract::<T>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            PyValueError::new_err(format!("Value out of range: {value}"))
        } else {
            error
        }
    })
}
