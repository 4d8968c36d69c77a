"""Run with ``pytest`` where untrace-pipeline and this package are installed."""

from untrace_example.text_length import FACTORY, TextLength, TextLengthConfig

from untrace_pipeline.data import attribute
from untrace_pipeline.testing import check_component, make_batch


def test_conforms() -> None:
    """The processor keeps the contract that every component keeps."""
    check_component(FACTORY, {"attributes": ["question"]})


def test_lengths_are_added() -> None:
    """Every item that has the text gets its length."""
    transform = TextLength(TextLengthConfig(attributes=["question"]))
    batch = transform.process(make_batch(items=3, attributes={"question": "why?"}))
    assert batch.column(attribute("question.length")) == [4, 4, 4]
