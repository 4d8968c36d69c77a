// Command kfake is a Kafka cluster in memory with errors on demand, for tests of what a real broker seldom says.
//
//	kfake -port 9092 -control 9093 -topics spans -partitions 4
//	POST /fault?key=0&code=6&count=3    the next three Produce requests (API key 0) are answered with error 6;
//	                                    with &partition=1 only for that partition
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func main() {
	port := flag.Int("port", 0, "port of the broker")
	control := flag.Int("control", 0, "port of the control server")
	topics := flag.String("topics", "", "topics to make, separated by commas")
	partitions := flag.Int("partitions", 4, "partitions of each topic")
	flag.Parse()

	options := []kfake.Opt{kfake.NumBrokers(1), kfake.Ports(*port), kfake.AllowAutoTopicCreation()}
	if *topics != "" {
		options = append(options, kfake.SeedTopics(int32(*partitions), strings.Split(*topics, ",")...))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()

	http.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		key, code, count := number(r, "key"), number(r, "code"), number(r, "count")
		fault := kfake.Fault{Keys: []kmsg.Key{kmsg.Key(key)}, Err: kerr.TypedErrorForCode(int16(code)), Count: count}
		if r.URL.Query().Has("partition") {
			fault.Partitions = []int32{int32(number(r, "partition"))}
		}
		cluster.Fault(fault)
		fmt.Fprintln(w, "ok")
	})
	go func() { log.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *control), nil)) }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}

func number(r *http.Request, name string) int {
	value, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil {
		return 0
	}
	return value
}
