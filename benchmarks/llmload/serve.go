package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"os"
	"time"
)

// provider has the answers, ready to be written.
type provider struct {
	plain  []byte   // head and body
	stream []byte   // head
	chunks [][]byte // with their framing
	pause  time.Duration
}

func runServe(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "host:port")
	answer := flags.String("answer", "", "file with the body of an answer")
	stream := flags.String("stream", "", "file with the events of a stream, each after its length in four bytes")
	pause := flags.Duration("pause", 0, "pause before each event but the first")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	body, err := os.ReadFile(*answer)
	if err != nil {
		return err
	}
	events, err := os.ReadFile(*stream)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	served := newProvider(body, events, *pause)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go served.serve(conn)
	}
}

func newProvider(body, events []byte, pause time.Duration) *provider {
	const common = "HTTP/1.1 200 OK\r\nDate: Sat, 29 Nov 2025 07:06:40 GMT\r\nx-request-id: req_0011223344556677\r\n"
	made := &provider{pause: pause}
	made.plain = fmt.Appendf(nil, "%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", common, len(body), body)
	made.stream = []byte(common + "Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n")
	for len(events) > 4 {
		size := int(binary.BigEndian.Uint32(events))
		made.chunks = append(made.chunks, fmt.Appendf(nil, "%x\r\n%s\r\n", size, events[4:4+size]))
		events = events[4+size:]
	}
	return made
}

var streamed = [][]byte{[]byte(`"stream":true`), []byte(`"stream": true`)}

func (p *provider) serve(conn net.Conn) {
	defer conn.Close()
	from := bufio.NewReaderSize(conn, 64<<10)
	for {
		asked, err := readHead(from)
		if err != nil {
			return
		}
		var body []byte
		if readBody(from, asked.length, func(part []byte) { body = append(body, part...) }) != nil {
			return
		}
		if bytes.Contains(body, streamed[0]) || bytes.Contains(body, streamed[1]) {
			err = p.writeStream(conn)
		} else {
			_, err = conn.Write(p.plain)
		}
		if err != nil || asked.closing {
			return
		}
	}
}

// writeStream writes head and events as a provider does: each by itself.
func (p *provider) writeStream(conn net.Conn) error {
	if _, err := conn.Write(p.stream); err != nil {
		return err
	}
	for number, chunk := range p.chunks {
		if number > 0 && p.pause > 0 {
			time.Sleep(p.pause)
		}
		if _, err := conn.Write(chunk); err != nil {
			return err
		}
	}
	_, err := conn.Write([]byte("0\r\n\r\n"))
	return err
}
