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
	"time"
)

// summary is what a run saw. Latencies are of requests, connections not included.
type summary struct {
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"`
	Seconds  float64 `json:"seconds"`
	P50us    float64 `json:"p50_us"`
	P99us    float64 `json:"p99_us"`
}

type load struct {
	address, host string
	requests      int
	body          []byte
}

// drive sends a fixed number of requests over kept connections, each with one at a time under way.
func drive(arguments []string) error {
	flags := flag.NewFlagSet("drive", flag.ExitOnError)
	address := flags.String("to", "", "HOST:PORT")
	host := flags.String("host", "", "the authority that requests name")
	connections := flags.Int("connections", 16, "connections, kept open")
	requests := flags.Int("requests", 1000, "requests on all connections together")
	size := flags.Int("body", 128, "bytes in each request and each answer")
	_ = flags.Parse(arguments)
	work := load{*address, *host, *requests / *connections, bytes.Repeat([]byte("x"), *size)}

	latencies := make([][]time.Duration, *connections)
	failed := make([]int, *connections)
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	for number := range *connections {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			latencies[number], failed[number] = work.run(&ready, begin)
		}()
	}
	ready.Wait()
	started := time.Now()
	close(begin)
	done.Wait()
	took := time.Since(started)

	all := slices.Concat(latencies...)
	slices.Sort(all)
	result := summary{Requests: len(all), Seconds: took.Seconds()}
	for _, count := range failed {
		result.Failed += count
	}
	if len(all) > 0 {
		result.P50us = float64(all[len(all)/2].Nanoseconds()) / 1000
		result.P99us = float64(all[len(all)*99/100].Nanoseconds()) / 1000
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// run uses one connection: what each request took, and how many failed. A failure ends it.
func (work load) run(ready *sync.WaitGroup, begin <-chan struct{}) ([]time.Duration, int) {
	connection, err := net.Dial("tcp", work.address)
	ready.Done()
	<-begin
	if err != nil {
		return nil, work.requests
	}
	defer connection.Close()
	head := fmt.Sprintf("POST /echo HTTP/1.1\r\nhost: %s\r\nuser-agent: load\r\naccept: */*\r\n"+
		"content-type: text/plain\r\ncontent-length: %d\r\n\r\n", work.host, len(work.body))
	request := append([]byte(head), work.body...)
	in := bufio.NewReader(connection)
	line, body := make([]byte, 4096), make([]byte, len(work.body)+4096)
	times := make([]time.Duration, 0, work.requests)
	for range work.requests {
		started := time.Now()
		if _, err := connection.Write(request); err != nil {
			break
		}
		if !work.answered(in, line, body) {
			break
		}
		times = append(times, time.Since(started))
	}
	return times, work.requests - len(times)
}

// answered reads one answer, and says whether it is the body that was sent.
func (work load) answered(in *bufio.Reader, line, body []byte) bool {
	first, content, err := readMessage(in, line, body)
	return err == nil && bytes.HasPrefix(first, []byte("HTTP/1.1 200 ")) && bytes.Equal(content, work.body)
}
