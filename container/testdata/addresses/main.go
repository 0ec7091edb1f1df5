// Command addresses prints the IPv4 routes and addresses of the machine, or of
// the container, that it runs on.
package main

import (
	"log"
	"os"
)

func main() {
	for _, name := range []string{"/proc/net/route", "/proc/net/fib_trie"} {
		content, err := os.ReadFile(name)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := os.Stdout.Write(content); err != nil {
			log.Fatal(err)
		}
	}
}
