// Command llmload stands in for an LLM provider, and for its clients, at as little cost as possible: bytes in, bytes out.
//
//	llmload serve   answers every request with one of two ready answers: a body, or a stream
//	llmload load    sends one ready request over and over, and prints how long the answers took as JSON
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"serve": runServe, "load": runLoad}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: llmload serve|load [options]; -h after a command lists them")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "llmload:", err)
		os.Exit(1)
	}
}
