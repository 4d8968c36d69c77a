"""What exporters to services of AWS share: options, credentials and signatures.

Nothing here imports botocore at import time: configurations are validated without it.
"""
