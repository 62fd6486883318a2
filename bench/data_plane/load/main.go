// Load is the two ends of a measurement of proxies: `load serve` answers requests with their own
// body, `load drive` sends them in a closed loop and prints what it saw as JSON. Both ends do as little
// as they can, so that the proxies dominate.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	// One core for each end: more would take the proxies' turns away.
	runtime.GOMAXPROCS(1)
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "serve":
		err = serve(os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == "drive":
		err = drive(os.Args[2:])
	default:
		err = fmt.Errorf("usage: load serve|drive FLAGS")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}
