package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// payload is one serialized request and the places of its spans' end times and trace ids.
type payload struct {
	body  []byte
	items int64
	ends  []int
	ids   []int
}

// stamped answers a copy whose first span ends now, so that the sink can tell how long it was on its way.
func (p payload) stamped(now int64) []byte {
	body := bytes.Clone(p.body)
	if len(p.ends) > 0 {
		binary.LittleEndian.PutUint64(body[p.ends[0]:], uint64(now))
	}
	return body
}

// renamed answers a copy whose trace ids have the second half from a number, so that no trace comes twice. The first
// half stays: some look at the second alone.
func (p payload) renamed(body []byte, number int64) []byte {
	body = bytes.Clone(body)
	for index, place := range p.ids {
		binary.BigEndian.PutUint64(body[place+idSize/2:], uint64(number)*uint64(len(p.ids))+uint64(index))
	}
	return body
}

// readPayloads reads requests, each after its length in four big-endian bytes.
func readPayloads(path string) ([]payload, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var payloads []payload
	for len(data) >= 4 {
		size := int(binary.BigEndian.Uint32(data))
		if size > len(data)-4 {
			return nil, fmt.Errorf("%s: truncated record", path)
		}
		p := payload{body: data[4 : 4+size]}
		eachItem(p.body, func(span []byte) {
			p.items++
			if _, place := spanEnd(span); place != nil {
				p.ends = append(p.ends, cap(p.body)-cap(place))
			}
			if place := traceID(span); place != nil {
				p.ids = append(p.ids, cap(p.body)-cap(place))
			}
		})
		payloads, data = append(payloads, p), data[4+size:]
	}
	if len(payloads) == 0 {
		return nil, fmt.Errorf("%s: no requests", path)
	}
	return payloads, nil
}

// outcome is what became of one request. An empty code is success.
type outcome struct {
	code      string
	retryable bool
	delayed   bool // the server said when to come back
	rejected  uint64
}

type sender func(ctx context.Context, worker int, body []byte) outcome

func grpcSender(target, signal, compression string, connections int) (sender, error) {
	name, service := "trace", "TraceService"
	switch signal {
	case "metrics":
		name, service = "metrics", "MetricsService"
	case "logs":
		name, service = "logs", "LogsService"
	}
	method := "/opentelemetry.proto.collector." + name + ".v1." + service + "/Export"
	options := []grpc.CallOption{grpc.ForceCodecV2(rawCodec{})}
	if compression != "" {
		options = append(options, grpc.UseCompressor(compression))
	}
	pool := make([]*grpc.ClientConn, connections)
	for i := range pool {
		connection, err := grpc.NewClient("passthrough:///"+target,
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(options...))
		if err != nil {
			return nil, err
		}
		pool[i] = connection
	}
	return func(ctx context.Context, worker int, body []byte) outcome {
		var answer frame
		if err := pool[worker%connections].Invoke(ctx, method, &frame{body}, &answer); err != nil {
			return grpcOutcome(status.Convert(err))
		}
		return outcome{rejected: rejectedItems(answer.data)}
	}, nil
}

// grpcOutcome classifies a refusal as the OTLP specification does.
func grpcOutcome(s *status.Status) outcome {
	o := outcome{code: s.Code().String()}
	for _, detail := range s.Details() {
		if _, ok := detail.(*errdetails.RetryInfo); ok {
			o.delayed = true
		}
	}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		o.retryable = true
	case codes.ResourceExhausted:
		o.retryable = o.delayed
	}
	return o
}

func httpSender(target, signal, compression string, connections int) sender {
	transport := &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, DisableCompression: true,
		DialContext: (&net.Dialer{}).DialContext}
	client, url := &http.Client{Transport: transport}, "http://"+target+"/v1/"+signal
	return func(ctx context.Context, _ int, body []byte) outcome {
		body, err := compressed(body, compression)
		if err != nil {
			return outcome{code: err.Error()}
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return outcome{code: err.Error()}
		}
		request.Header.Set("Content-Type", "application/x-protobuf")
		if compression != "" {
			request.Header.Set("Content-Encoding", compression)
		}
		response, err := client.Do(request)
		if err != nil {
			return outcome{code: "connection", retryable: true}
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			return outcome{code: "connection", retryable: true}
		}
		return httpOutcome(response, answer)
	}
}

func httpOutcome(response *http.Response, answer []byte) outcome {
	switch response.StatusCode {
	case 200:
		return outcome{rejected: rejectedItems(answer)}
	case 429, 502, 503, 504:
		return outcome{code: strconv.Itoa(response.StatusCode), retryable: true, delayed: response.Header.Get("Retry-After") != ""}
	}
	return outcome{code: strconv.Itoa(response.StatusCode)}
}

// report is what `load` prints. Items are spans, metrics or log records.
type report struct {
	Requests         int64            `json:"requests"`
	Items            int64            `json:"items"`
	AcceptedRequests int64            `json:"accepted_requests"`
	AcceptedItems    int64            `json:"accepted_items"`
	RejectedItems    uint64           `json:"rejected_items"`
	Refused          map[string]int64 `json:"refused_requests"`
	Retryable        int64            `json:"refused_retryable"`
	Permanent        int64            `json:"refused_permanent"`
	WithDelay        int64            `json:"refused_with_delay"`
	Unsent           int64            `json:"unsent_requests"`
	Seconds          float64          `json:"seconds"`
	ItemsPerSecond   float64          `json:"accepted_items_per_second"`
	Latency          latencies        `json:"latency"`
}

type run struct {
	payloads []payload
	send     sender
	timeout  time.Duration
	stamp    bool
	unique   bool
	next     atomic.Int64
	mutex    sync.Mutex
	report   report
	latency  histogram
}

// one sends the next request and books the outcome.
func (r *run) one(worker int) {
	number := r.next.Add(1) - 1
	p := r.payloads[int(number)%len(r.payloads)]
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	begin := time.Now()
	body := p.body
	if r.stamp {
		body = p.stamped(begin.UnixNano())
	}
	if r.unique {
		body = p.renamed(body, begin.UnixNano()+number)
	}
	o := r.send(ctx, worker, body)
	if o.code == "" {
		r.latency.add(int64(time.Since(begin)))
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.report.Requests++
	r.report.Items += p.items
	r.report.RejectedItems += o.rejected
	if o.code == "" {
		r.report.AcceptedRequests++
		r.report.AcceptedItems += p.items - int64(o.rejected)
		return
	}
	r.report.Refused[o.code]++
	if o.retryable {
		r.report.Retryable++
	} else {
		r.report.Permanent++
	}
	if o.delayed {
		r.report.WithDelay++
	}
}

// tickets hands out the right to send one request: at a rate, or as fast as they are taken when the rate is 0.
// Tickets that nobody takes in time (all workers wait for answers) are not lost, but come late.
func tickets(rate float64, requests int64, duration time.Duration) <-chan struct{} {
	channel := make(chan struct{})
	go func() {
		defer close(channel)
		begin := time.Now()
		for issued := int64(0); requests <= 0 || issued < requests; issued++ {
			if rate > 0 {
				time.Sleep(time.Until(begin.Add(time.Duration(float64(issued) / rate * float64(time.Second)))))
			}
			if duration > 0 && time.Since(begin) >= duration {
				return
			}
			channel <- struct{}{}
		}
	}()
	return channel
}

func (r *run) drive(queue <-chan struct{}, concurrency int) {
	var workers sync.WaitGroup
	for worker := range concurrency {
		workers.Go(func() {
			for range queue {
				r.one(worker)
			}
		})
	}
	workers.Wait()
}

func runLoad(args []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	protocol := flags.String("protocol", "grpc", "grpc or http")
	target := flags.String("target", "", "host:port of the OTLP receiver")
	signal := flags.String("signal", "traces", "traces, metrics or logs")
	compression := flags.String("compression", "", "gzip or zstd; none by default")
	path := flags.String("payload", "", "file of serialized requests, each after its length in four big-endian bytes")
	connections := flags.Int("connections", 4, "gRPC connections; HTTP has one connection per request in flight")
	concurrency := flags.Int("concurrency", 64, "requests in flight at most")
	rate := flags.Float64("rate", 0, "requests per second; 0 is as fast as answers come")
	requests := flags.Int64("requests", 0, "stop after so many requests; 0 is no limit")
	duration := flags.Duration("duration", 0, "stop after this time; 0 is no limit")
	timeout := flags.Duration("timeout", 10*time.Second, "of one request")
	stamp := flags.Bool("stamp", true, "write the time of sending into the first span of each request, as its end")
	unique := flags.Bool("unique", false, "write new trace ids into each request")
	_ = flags.Parse(args)
	if *target == "" || *path == "" || (*requests == 0 && *duration == 0) {
		return fmt.Errorf("load needs -target, -payload and one of -requests and -duration")
	}
	if *compression != "" && compressors[*compression] == nil {
		return fmt.Errorf("unknown compression %s", *compression)
	}
	payloads, err := readPayloads(*path)
	if err != nil {
		return err
	}
	send := httpSender(*target, *signal, *compression, *concurrency)
	if *protocol == "grpc" {
		if send, err = grpcSender(*target, *signal, *compression, *connections); err != nil {
			return err
		}
	}
	r := &run{payloads: payloads, send: send, timeout: *timeout, stamp: *stamp, unique: *unique, report: report{Refused: map[string]int64{}}}
	begin := time.Now()
	r.drive(tickets(*rate, *requests, *duration), *concurrency)
	return r.print(time.Since(begin), int64(*rate*duration.Seconds()))
}

// print writes the report; planned is how many requests the rate and the duration asked for, 0 if they did not.
func (r *run) print(elapsed time.Duration, planned int64) error {
	r.report.Seconds = elapsed.Seconds()
	r.report.ItemsPerSecond = float64(r.report.AcceptedItems) / elapsed.Seconds()
	r.report.Latency = r.latency.summary()
	r.report.Unsent = max(0, planned-r.report.Requests)
	return json.NewEncoder(os.Stdout).Encode(r.report)
}
