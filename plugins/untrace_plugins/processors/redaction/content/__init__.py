"""Personal data and secrets in whatever text a request holds: found by detectors, treated by policy, edited in place.

``walk`` finds the texts of a request in which something may be, on the wire, without decoding the rest. ``leaves`` says
which parts of a text may be replaced so that JSON stays JSON, ``rules`` what happens to a finding, ``splice`` puts the
new texts in. The form of a request is never rebuilt: what is not replaced keeps its bytes.
"""
