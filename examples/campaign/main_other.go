//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "campaign: needs Linux and its network namespaces")
	os.Exit(1)
}
