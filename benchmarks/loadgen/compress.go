package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"
)

// compressor is registered with gRPC, and serves HTTP too.
type compressor struct {
	name    string
	writers sync.Pool
	readers sync.Pool
	reader  func(io.Reader) (io.Reader, error)
	reuse   func(reader io.Reader, source io.Reader) error
}

type resetWriter interface {
	io.WriteCloser
	Reset(io.Writer)
}

var compressors = map[string]*compressor{
	// The fastest level: the load generator shares the machine with what is measured.
	"gzip": {
		name:    "gzip",
		writers: sync.Pool{New: func() any { w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed); return w }},
		reader:  func(source io.Reader) (io.Reader, error) { return gzip.NewReader(source) },
		reuse:   func(reader, source io.Reader) error { return reader.(*gzip.Reader).Reset(source) },
	},
	"zstd": {
		name: "zstd",
		writers: sync.Pool{New: func() any {
			w, _ := zstd.NewWriter(io.Discard, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
			return w
		}},
		reader: func(source io.Reader) (io.Reader, error) {
			return zstd.NewReader(source, zstd.WithDecoderConcurrency(1))
		},
		reuse: func(reader, source io.Reader) error { return reader.(*zstd.Decoder).Reset(source) },
	},
}

func init() {
	for _, c := range compressors {
		encoding.RegisterCompressor(c)
	}
}

func (c *compressor) Name() string { return c.name }

func (c *compressor) Compress(target io.Writer) (io.WriteCloser, error) {
	w := c.writers.Get().(resetWriter)
	w.Reset(target)
	return &pooledWriter{w, c}, nil
}

type pooledWriter struct {
	resetWriter
	from *compressor
}

func (w *pooledWriter) Close() error {
	err := w.resetWriter.Close()
	w.from.writers.Put(w.resetWriter)
	return err
}

// compressedBytes counts what came in compressed, over both protocols.
var compressedBytes atomic.Int64

type countingReader struct{ io.Reader }

func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	compressedBytes.Add(int64(n))
	return n, err
}

func (c *compressor) Decompress(source io.Reader) (io.Reader, error) {
	source = countingReader{source}
	if used := c.readers.Get(); used != nil {
		return &pooledReader{used.(io.Reader), c}, c.reuse(used.(io.Reader), source)
	}
	reader, err := c.reader(source)
	return &pooledReader{reader, c}, err
}

// pooledReader gives its decompressor back at the end of the input; one that failed is left to the collector.
type pooledReader struct {
	reader io.Reader
	from   *compressor
}

func (r *pooledReader) Read(p []byte) (int, error) {
	if r.reader == nil {
		return 0, io.EOF
	}
	n, err := r.reader.Read(p)
	if err == io.EOF {
		r.from.readers.Put(r.reader)
		r.reader = nil
	}
	return n, err
}

// compressed answers a body in an encoding, as it is when there is none.
func compressed(body []byte, name string) ([]byte, error) {
	if name == "" {
		return body, nil
	}
	var out bytes.Buffer
	w, err := compressors[name].Compress(&out)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// readBody answers the decompressed body of an HTTP request.
func readBody(r *http.Request) ([]byte, error) {
	var reader io.Reader = r.Body
	if name := r.Header.Get("Content-Encoding"); name != "" && name != "identity" {
		c := compressors[name]
		if c == nil {
			return nil, fmt.Errorf("unknown content encoding %s", name)
		}
		var err error
		if reader, err = c.Decompress(r.Body); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(reader, maxMessage))
}
