package main

import "encoding/binary"

// field is one protobuf field: its number, its wire type and, for length-delimited fields, its content.
type field struct {
	number   uint64
	wireType uint64
	varint   uint64
	bytes    []byte
}

// nextField reads the field at the start of data and answers it with the rest; ok is false for malformed input.
func nextField(data []byte) (f field, rest []byte, ok bool) {
	tag, n := binary.Uvarint(data)
	if n <= 0 {
		return field{}, nil, false
	}
	f.number, f.wireType, data = tag>>3, tag&7, data[n:]
	switch f.wireType {
	case 0:
		f.varint, n = binary.Uvarint(data)
		if n <= 0 {
			return field{}, nil, false
		}
		return f, data[n:], true
	case 1:
		return fixed(f, data, 8)
	case 5:
		return fixed(f, data, 4)
	case 2:
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return field{}, nil, false
		}
		f.bytes = data[n : n+int(size)]
		return f, data[n+int(size):], true
	}
	return field{}, nil, false
}

func fixed(f field, data []byte, size int) (field, []byte, bool) {
	if len(data) < size {
		return field{}, nil, false
	}
	if size == 8 {
		f.varint = binary.LittleEndian.Uint64(data)
	} else {
		f.varint = uint64(binary.LittleEndian.Uint32(data))
	}
	f.bytes = data[:size]
	return f, data[size:], true
}

// each calls visit with every length-delimited field of that number; false means malformed input.
func each(data []byte, number uint64, visit func([]byte) bool) bool {
	for len(data) > 0 {
		f, rest, ok := nextField(data)
		if !ok {
			return false
		}
		if f.number == number && f.wireType == 2 && !visit(f.bytes) {
			return false
		}
		data = rest
	}
	return true
}

// eachItem visits every span, metric or log record of a serialized OTLP export request. The three requests
// have the same numbers: resource groups 1, scope groups 2, items 2.
func eachItem(request []byte, visit func([]byte)) bool {
	return each(request, 1, func(resource []byte) bool {
		return each(resource, 2, func(scope []byte) bool {
			return each(scope, 2, func(item []byte) bool {
				visit(item)
				return true
			})
		})
	})
}

const spanEndTime = 8

// spanEnd answers end_time_unix_nano of a serialized span and where its eight bytes are; nil when absent.
func spanEnd(span []byte) (uint64, []byte) {
	for len(span) > 0 {
		f, rest, ok := nextField(span)
		if !ok {
			return 0, nil
		}
		if f.number == spanEndTime && f.wireType == 1 {
			return f.varint, f.bytes
		}
		span = rest
	}
	return 0, nil
}

const (
	spanTraceID = 1
	idSize      = 16
)

// traceID answers where the sixteen bytes of a serialized span's trace id are; nil when absent.
func traceID(span []byte) []byte {
	f, _, ok := nextField(span)
	for ok && f.number != spanTraceID {
		_, span, _ = nextField(span)
		f, _, ok = nextField(span)
	}
	if !ok || len(f.bytes) != idSize {
		return nil
	}
	return f.bytes
}

// dataPoints counts the points of one serialized metric (gauge 5, sum 7, histograms 9 and 10, summary 11).
func dataPoints(metric []byte) (count int64) {
	for len(metric) > 0 {
		f, rest, ok := nextField(metric)
		if !ok {
			return count
		}
		switch f.number {
		case 5, 7, 9, 10, 11:
			each(f.bytes, 1, func([]byte) bool { count++; return true })
		}
		metric = rest
	}
	return count
}

// rejectedItems reads partial_success.rejected_* of a serialized OTLP export response.
func rejectedItems(response []byte) (count uint64) {
	each(response, 1, func(partial []byte) bool {
		for len(partial) > 0 {
			f, rest, ok := nextField(partial)
			if !ok {
				return false
			}
			if f.number == 1 && f.wireType == 0 {
				count = f.varint
			}
			partial = rest
		}
		return true
	})
	return count
}
