// Command loadgen drives OTLP receivers and stands in for OTLP backends, without ever decoding a message.
//
//	loadgen sink   counts what it receives and says so as JSON over HTTP
//	loadgen load   sends pre-serialized requests and prints what became of them as JSON
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"sink": runSink, "load": runLoad}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: loadgen sink|load [options]; -h after a command lists them")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}
