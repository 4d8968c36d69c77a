"""From YAML files to a checked model, with every problem at once and at its place."""
