package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// head is what matters of the head of a request or an answer.
type head struct {
	start   []byte // a copy of the first line
	length  int    // of the body; -1 if it is sent in chunks
	closing bool   // the connection ends with this answer
}

var (
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
	connection       = []byte("connection")
)

// readHead reads up to the empty line. A head without a length has no body.
func readHead(from *bufio.Reader) (head, error) {
	var found head
	for first := true; ; first = false {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return found, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			found.start = append([]byte(nil), line...)
		case len(line) == 0:
			return found, nil
		default:
			if err := found.readField(line); err != nil {
				return found, err
			}
		}
	}
}

func (h *head) readField(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, contentLength):
		length, err := strconv.Atoi(string(value))
		if err != nil {
			return fmt.Errorf("content-length %q", value)
		}
		h.length = length
	case bytes.EqualFold(name, transferEncoding):
		h.length = -1
	case bytes.EqualFold(name, connection):
		h.closing = bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

// readBody reads a body, and calls seen with each part as it comes.
func readBody(from *bufio.Reader, length int, seen func([]byte)) error {
	if length >= 0 {
		return readPart(from, length, seen)
	}
	for {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return err
		}
		if err := readPart(from, int(size), seen); err != nil {
			return err
		}
		if end, err := from.ReadSlice('\n'); err != nil || len(bytes.TrimRight(end, "\r\n")) > 0 {
			return errors.Join(err, errors.New("no end of a chunk"))
		}
		if size == 0 {
			return nil
		}
	}
}

func readPart(from *bufio.Reader, length int, seen func([]byte)) error {
	for length > 0 {
		part, err := from.Peek(min(length, max(1, from.Buffered())))
		if err != nil {
			return errors.Join(err, io.ErrUnexpectedEOF)
		}
		seen(part)
		length -= len(part)
		if _, err := from.Discard(len(part)); err != nil {
			return err
		}
	}
	return nil
}
