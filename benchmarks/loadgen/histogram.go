package main

import (
	"math"
	"sync/atomic"
)

const (
	bucketsPerE = 50 // 2 % wide buckets
	bucketCount = 26 * bucketsPerE
)

// histogram counts durations in buckets 2 % wide; safe for concurrent use.
type histogram struct {
	buckets [bucketCount]atomic.Int64
	count   atomic.Int64
	max     atomic.Int64
}

func (h *histogram) add(nanos int64) {
	index := 0
	if nanos > 1 {
		index = min(int(math.Log(float64(nanos))*bucketsPerE), bucketCount-1)
	}
	h.buckets[index].Add(1)
	h.count.Add(1)
	for old := h.max.Load(); nanos > old && !h.max.CompareAndSwap(old, nanos); old = h.max.Load() {
	}
}

func (h *histogram) reset() {
	for i := range h.buckets {
		h.buckets[i].Store(0)
	}
	h.count.Store(0)
	h.max.Store(0)
}

// quantile answers the q-quantile in milliseconds, 0 when empty.
func (h *histogram) quantile(q float64) float64 {
	wanted, seen := int64(math.Ceil(q*float64(h.count.Load()))), int64(0)
	for i := range h.buckets {
		seen += h.buckets[i].Load()
		if seen >= wanted && seen > 0 {
			return math.Exp((float64(i)+0.5)/bucketsPerE) / 1e6
		}
	}
	return 0
}

// latencies is the JSON form of a histogram, in milliseconds.
type latencies struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (h *histogram) summary() latencies {
	return latencies{h.count.Load(), h.quantile(0.5), h.quantile(0.99), float64(h.max.Load()) / 1e6}
}
