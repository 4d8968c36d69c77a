package main

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// frame is a message that stays serialized: the benchmark must not spend its time on protobuf.
type frame struct{ data []byte }

// rawCodec hands frames through. It is named "proto" because that is what OTLP peers expect on the wire.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("raw codec: got %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(f.data)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("raw codec: got %T", v)
	}
	f.data = data.Materialize()
	return nil
}
