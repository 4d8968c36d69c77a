module untrace.benchmarks/llmload

go 1.25.0
