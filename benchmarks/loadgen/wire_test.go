package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

func lengthDelimited(number byte, content ...byte) []byte {
	return append([]byte{number<<3 | 2, byte(len(content))}, content...)
}

// request wraps items in a scope group and a resource group, each behind a field that is not counted.
func request(items ...[]byte) []byte {
	var scope []byte
	scope = append(scope, lengthDelimited(1, 'x')...)
	for _, item := range items {
		scope = append(scope, lengthDelimited(2, item...)...)
	}
	resource := append(lengthDelimited(1), lengthDelimited(2, scope...)...)
	return lengthDelimited(1, resource...)
}

func span(end uint64) []byte {
	data := lengthDelimited(1, 1, 2, 3)
	return binary.LittleEndian.AppendUint64(append(data, spanEndTime<<3|1), end)
}

// Items are counted wherever they are, and their end times can be found and changed in place.
func TestItemsAndEndTimes(t *testing.T) {
	body, count := request(span(7), span(8)), 0
	if !eachItem(body, func(item []byte) {
		count++
		if end, place := spanEnd(item); end == 7 {
			binary.LittleEndian.PutUint64(place, 9)
		}
	}) {
		t.Fatal("malformed")
	}
	sum := uint64(0)
	eachItem(body, func(item []byte) { end, _ := spanEnd(item); sum += end })
	if count != 2 || sum != 17 {
		t.Fatalf("got %d items, end times of %d in all", count, sum)
	}
}

// Trace ids can be found and changed in place.
func TestTraceIDs(t *testing.T) {
	id := bytes.Repeat([]byte{7}, idSize)
	body := request(append(lengthDelimited(2, 1), lengthDelimited(1, id...)...), lengthDelimited(1, 1, 2, 3))
	found := 0
	eachItem(body, func(item []byte) {
		if place := traceID(item); place != nil {
			found++
			place[0] = 8
		}
	})
	if found != 1 || !bytes.Contains(body, append([]byte{8}, id[1:]...)) {
		t.Fatalf("%d ids", found)
	}
}

// Truncated input is told apart from input without items.
func TestTruncated(t *testing.T) {
	body := request(span(7))
	if eachItem(body[:len(body)-1], func([]byte) {}) {
		t.Fatal("truncated input passed as whole")
	}
	if !eachItem(nil, func([]byte) { t.Fatal("item in nothing") }) {
		t.Fatal("empty input is not malformed")
	}
}

// Partial success is read from a response.
func TestRejected(t *testing.T) {
	if got := rejectedItems(lengthDelimited(1, 1<<3, 5)); got != 5 {
		t.Fatalf("got %d", got)
	}
}

// Quantiles are right within the width of a bucket.
func TestQuantile(t *testing.T) {
	var h histogram
	for i := int64(1); i <= 1000; i++ {
		h.add(i * 1_000_000)
	}
	if p50 := h.quantile(0.5); p50 < 490 || p50 > 510 {
		t.Fatalf("p50 is %f", p50)
	}
}

// What is compressed comes back, also from compressors that were used before.
func TestCompressors(t *testing.T) {
	for name, c := range compressors {
		for range 3 {
			body, err := compressed([]byte("spans spans spans"), name)
			if err != nil {
				t.Fatal(err)
			}
			reader, err := c.Decompress(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(reader); err != nil || string(got) != "spans spans spans" {
				t.Fatalf("%s: got %q, %v", name, got, err)
			}
		}
	}
}
