package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

const maxMessage = 256 << 20

// Spans that ended after this moment carry the time at which the load generator sent them.
var stampedAfter = uint64(time.Now().Add(-time.Hour).UnixNano())

var signals = map[string]string{"trace": "traces", "metrics": "metrics", "logs": "logs"}

// sink counts what it receives. It refuses nothing; limit makes it slow.
type sink struct {
	requests, items, bytes, malformed, abandoned atomic.Int64
	latency                                      histogram
	limit                                        throttle
	capture                                      *captureFiles
}

// accept counts one request, after waiting for its turn. It fails when the caller has gone in the meantime.
func (s *sink) accept(ctx context.Context, signal string, body []byte) error {
	now, count := uint64(time.Now().UnixNano()), int64(0)
	wellFormed := eachItem(body, func(item []byte) {
		switch signal {
		case "metrics":
			count += dataPoints(item)
		case "traces":
			count++
			if end, _ := spanEnd(item); end > stampedAfter && end <= now {
				s.latency.add(int64(now - end))
			}
		default:
			count++
		}
	})
	if err := s.limit.wait(ctx, count); err != nil {
		s.abandoned.Add(count)
		return err
	}
	if err := s.capture.write(signal, body); err != nil {
		return err
	}
	if !wellFormed {
		s.malformed.Add(1)
	}
	s.requests.Add(1)
	s.items.Add(count)
	s.bytes.Add(int64(len(body)))
	return nil
}

// throttle lets items through at a rate, in the order of arrival; 0 is no limit.
type throttle struct {
	mutex sync.Mutex
	rate  float64
	free  time.Time
	lift  chan struct{}
}

func (t *throttle) set(rate float64) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.lift != nil {
		close(t.lift)
	}
	t.rate, t.free, t.lift = rate, time.Now(), make(chan struct{})
}

func (t *throttle) wait(ctx context.Context, items int64) error {
	t.mutex.Lock()
	if t.rate <= 0 {
		t.mutex.Unlock()
		return ctx.Err()
	}
	if now := time.Now(); t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(time.Duration(float64(items) / t.rate * float64(time.Second)))
	turn, lift := time.NewTimer(time.Until(t.free)), t.lift
	t.mutex.Unlock()
	defer turn.Stop()
	select {
	case <-turn.C:
	case <-lift:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// captureFiles appends each body, after its length in four big-endian bytes, to a file per signal.
type captureFiles struct {
	mutex     sync.Mutex
	directory string
	files     map[string]*os.File
}

func (c *captureFiles) write(signal string, body []byte) error {
	if c == nil {
		return nil
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.files[signal] == nil {
		file, err := os.Create(filepath.Join(c.directory, signal+".bin"))
		if err != nil {
			return err
		}
		c.files[signal] = file
	}
	record := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	_, err := c.files[signal].Write(append(record, body...))
	return err
}

func (s *sink) grpcServer() *grpc.Server {
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.MaxRecvMsgSize(maxMessage))
	for name, signal := range signals {
		service := map[string]string{"trace": "TraceService", "metrics": "MetricsService", "logs": "LogsService"}[name]
		server.RegisterService(&grpc.ServiceDesc{
			ServiceName: "opentelemetry.proto.collector." + name + ".v1." + service,
			HandlerType: (*any)(nil),
			Methods:     []grpc.MethodDesc{{MethodName: "Export", Handler: s.export(signal)}},
		}, s)
	}
	return server
}

func (s *sink) export(signal string) func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var request frame
		if err := decode(&request); err != nil {
			return nil, err
		}
		if err := s.accept(ctx, signal, request.data); err != nil {
			return nil, status.FromContextError(err).Err()
		}
		return &frame{}, nil
	}
}

func (s *sink) httpHandler() http.Handler {
	mux := http.NewServeMux()
	for _, signal := range signals {
		mux.HandleFunc("POST /v1/"+signal, func(w http.ResponseWriter, r *http.Request) {
			body, err := readBody(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			if err := s.accept(r.Context(), signal, body); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("Content-Type", "application/x-protobuf")
		})
	}
	return mux
}

func (s *sink) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"requests": s.requests.Load(), "items": s.items.Load(), "bytes": s.bytes.Load(),
			"malformed": s.malformed.Load(), "abandoned": s.abandoned.Load(), "latency": s.latency.summary(),
			"compressed_bytes": compressedBytes.Load(),
		})
	})
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) {
		for _, counter := range []*atomic.Int64{&s.requests, &s.items, &s.bytes, &s.malformed, &s.abandoned, &compressedBytes} {
			counter.Store(0)
		}
		s.latency.reset()
	})
	mux.HandleFunc("POST /limit", func(w http.ResponseWriter, r *http.Request) {
		rate, err := strconv.ParseFloat(r.FormValue("items_per_second"), 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.limit.set(rate)
	})
	return mux
}

// runSink serves until it is killed; the first line of its output is a JSON object with its addresses.
func runSink(args []string) error {
	flags := flag.NewFlagSet("sink", flag.ExitOnError)
	grpcAddress := flags.String("grpc", "127.0.0.1:0", "address of the OTLP/gRPC server")
	httpAddress := flags.String("http", "127.0.0.1:0", "address of the OTLP/HTTP server")
	controlAddress := flags.String("control", "127.0.0.1:0", "address of GET /stats, POST /reset, POST /limit?items_per_second=")
	capture := flags.String("capture", "", "existing directory that gets traces.bin, metrics.bin, logs.bin with all bodies")
	_ = flags.Parse(args)

	s := &sink{}
	if *capture != "" {
		s.capture = &captureFiles{directory: *capture, files: map[string]*os.File{}}
	}
	addresses, failed := map[string]string{}, make(chan error)
	serve := map[string]func(net.Listener) error{
		"grpc": s.grpcServer().Serve,
		"http": (&http.Server{Handler: s.httpHandler()}).Serve, "control": (&http.Server{Handler: s.controlHandler()}).Serve,
	}
	for name, address := range map[string]string{"grpc": *grpcAddress, "http": *httpAddress, "control": *controlAddress} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		addresses[name] = listener.Addr().String()
		go func() { failed <- serve[name](listener) }()
	}
	if err := json.NewEncoder(os.Stdout).Encode(addresses); err != nil {
		return err
	}
	return <-failed
}
