package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// call is how one request went.
type call struct {
	whole, first time.Duration // to its last byte; to the first byte of the body
	size         int
}

// client sends the request by one connection, again and again.
type client struct {
	target  string
	request []byte
	marker  []byte
	conn    net.Conn
	from    *bufio.Reader
	calls   []call
	failed  int
	why     string
}

// quantiles are in microseconds.
type quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

type report struct {
	Requests int       `json:"requests"`
	Failed   int       `json:"failed"`
	Why      string    `json:"why,omitempty"`
	Seconds  float64   `json:"seconds"`
	Bytes    int       `json:"bytes"`
	Whole    quantiles `json:"whole_us"`
	First    quantiles `json:"first_us"`
}

func runLoad(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	target := flags.String("target", "", "host:port")
	path := flags.String("path", "/v1/chat/completions", "path of the request")
	body := flags.String("body", "", "file with the body of the request")
	marker := flags.String("marker", "", "text that every answer has")
	key := flags.String("key", "sk-bench", "API key")
	clients := flags.Int("clients", 1, "connections, each with one request at a time")
	duration := flags.Duration("duration", 0, "how long; or")
	requests := flags.Int("requests", 0, "how many in all")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	content, err := os.ReadFile(*body)
	if err != nil {
		return err
	}
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Accept: application/json\r\nUser-Agent: llmload\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		*path, *target, *key, len(content), content)
	made := make([]*client, *clients)
	for number := range made {
		made[number] = &client{target: *target, request: request, marker: []byte(*marker)}
	}
	begun := time.Now()
	run(made, *requests, *duration)
	return json.NewEncoder(os.Stdout).Encode(sum(made, time.Since(begun)))
}

func run(clients []*client, requests int, duration time.Duration) {
	var begun atomic.Int64
	var group sync.WaitGroup
	end := time.Now().Add(duration)
	for _, each := range clients {
		group.Go(func() {
			defer each.close()
			for {
				if requests > 0 && begun.Add(1) > int64(requests) || requests == 0 && time.Now().After(end) {
					return
				}
				each.do()
			}
		})
	}
	group.Wait()
}

func (c *client) do() {
	made, err := c.call()
	if err != nil {
		c.failed++
		c.why = err.Error()
		c.close()
		time.Sleep(time.Millisecond)
		return
	}
	c.calls = append(c.calls, made)
}

func (c *client) call() (call, error) {
	var made call
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.target)
		if err != nil {
			return made, err
		}
		c.conn, c.from = conn, bufio.NewReaderSize(conn, 64<<10)
	}
	begun := time.Now()
	if _, err := c.conn.Write(c.request); err != nil {
		return made, err
	}
	answer, err := readHead(c.from)
	if err != nil {
		return made, err
	}
	marked := len(c.marker) == 0
	err = readBody(c.from, answer.length, func(part []byte) {
		if made.size == 0 {
			made.first = time.Since(begun)
		}
		made.size += len(part)
		marked = marked || bytes.Contains(part, c.marker)
	})
	made.whole = time.Since(begun)
	if answer.closing {
		c.close()
	}
	if err == nil && (!bytes.Contains(answer.start, []byte(" 200 ")) || !marked) {
		err = fmt.Errorf("%s, %d bytes, marker: %v", answer.start, made.size, marked)
	}
	return made, err
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func sum(clients []*client, took time.Duration) report {
	found := report{Seconds: took.Seconds()}
	var whole, first []time.Duration
	for _, each := range clients {
		found.Failed += each.failed
		if each.why != "" {
			found.Why = each.why
		}
		for _, made := range each.calls {
			whole = append(whole, made.whole)
			first = append(first, made.first)
			found.Bytes += made.size
		}
	}
	found.Requests = len(whole)
	found.Whole, found.First = quantilesOf(whole), quantilesOf(first)
	return found
}

func quantilesOf(times []time.Duration) quantiles {
	if len(times) == 0 {
		return quantiles{}
	}
	slices.Sort(times)
	var total time.Duration
	for _, each := range times {
		total += each
	}
	at := func(share float64) float64 {
		return float64(times[min(len(times)-1, int(share*float64(len(times))))].Nanoseconds()) / 1000
	}
	return quantiles{at(0.5), at(0.9), at(0.99), at(0.999), at(1), float64(total.Nanoseconds()) / 1000 / float64(len(times))}
}
