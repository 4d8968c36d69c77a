// Command h2spec runs the conformance tests of github.com/summerwind/h2spec, strict ones too, against a server without
// TLS, and writes their results as JUnit. Its own command counts the timeout of a test in whole seconds only.
package main

import (
	"flag"
	"log"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
)

func main() {
	port := flag.Int("port", 0, "port on 127.0.0.1")
	report := flag.String("report", "", "file for the results")
	timeout := flag.Duration("timeout", time.Second, "how long a test waits for an answer")
	flag.Parse()
	tests := &config.Config{
		Host:         "127.0.0.1",
		Port:         *port,
		Path:         "/",
		Timeout:      *timeout,
		MaxHeaderLen: 4000,
		JUnitReport:  *report,
		Strict:       true,
		Sections:     flag.Args(),
	}
	if _, err := h2spec.Run(tests); err != nil {
		log.Fatal(err)
	}
}
