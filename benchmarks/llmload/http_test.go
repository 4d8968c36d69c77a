package main

import (
	"bufio"
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, text string) (head, string, error) {
	t.Helper()
	from := bufio.NewReaderSize(strings.NewReader(text), 16<<10)
	found, err := readHead(from)
	if err != nil {
		return found, "", err
	}
	var body strings.Builder
	err = readBody(from, found.length, func(part []byte) { body.Write(part) })
	return found, body.String(), err
}

func TestBodiesAreReadToTheirEnd(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhello":                                      "hello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n": "hello!",
		"HTTP/1.1 204 No Content\r\n\r\n":                                                        "",
	} {
		found, body, err := read(t, text)
		if err != nil || body != want || !strings.HasPrefix(string(found.start), "HTTP/1.1 20") {
			t.Errorf("%q: %q %q %v", text, found.start, body, err)
		}
	}
}

func TestBrokenBodiesAreErrors(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\n",
	} {
		if _, body, err := read(t, text); err == nil {
			t.Errorf("%q: no error, %q", text, body)
		}
	}
}

func TestQuantiles(t *testing.T) {
	if got := quantilesOf(nil); got != (quantiles{}) {
		t.Error(got)
	}
	if got := quantilesOf([]time.Duration{3000, 1000, 2000}); got.P50 != 2 || got.Max != 3 || got.Mean != 2 {
		t.Error(got)
	}
}
