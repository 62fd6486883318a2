// Command client plays many proxies at once, each an incremental ADS stream over a TLS
// connection of its own, with a certificate or a token. It is told what to do by JSON objects on standard input, one a line, and
// answers each with one line. It ends with its input.
//
//	{"op": "fleet", ...fleetConfig}                      whom to play
//	{"op": "connect", "first": I, "count": N}            start N proxies
//	{"op": "disconnect"}                                 end all; what they hold is kept
//	{"op": "sync", "count": N, "limit_ms": T}            wait until N streams have all that they asked for
//	{"op": "subscribe", "streams": [..], "type": T, "names": [..]}
//	{"op": "mark", "type": T, "names": [..]}             count anew, and watch these resources
//	{"op": "wait", "count": N, "limit_ms": T}            wait for N arrivals of watched resources
//	{"op": "counts"}                                     what arrived since the mark
package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

type fleetConfig struct {
	Address    string         `json:"address"`
	ServerName string         `json:"server_name"`
	Roots      string         `json:"roots"`
	Probe      string         `json:"probe"`
	Proxies    []*proxyConfig `json:"proxies"`
}

type command struct {
	Op string `json:"op"`
	fleetConfig
	First   int      `json:"first"`
	Count   int      `json:"count"`
	LimitMS int      `json:"limit_ms"`
	Streams []int    `json:"streams"`
	Type    string   `json:"type"`
	Names   []string `json:"names"`
}

// fleet is all proxies, and what their present connections hang on.
type fleet struct {
	ledger  *ledger
	proxies []*proxy
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func main() {
	f := &fleet{ledger: newLedger()}
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	decoder := json.NewDecoder(input)
	for {
		var c command
		if err := decoder.Decode(&c); err != nil {
			return // the harness has gone
		}
		answer, err := f.obey(&c)
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		if err := output.Encode(answer); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func (f *fleet) obey(c *command) (any, error) {
	l, limit := f.ledger, time.Duration(c.LimitMS)*time.Millisecond
	switch c.Op {
	case "fleet":
		return map[string]int{"proxies": len(c.Proxies)}, f.make(&c.fleetConfig)
	case "connect":
		return map[string]int64{"at": now()}, f.connect(c.First, c.Count)
	case "disconnect":
		f.disconnect()
		return map[string]int64{"at": now()}, nil
	case "subscribe":
		for _, number := range c.Streams {
			l.mutex.Lock()
			delete(l.synced, number)
			l.mutex.Unlock()
			if err := f.proxies[number].subscribe(subscription{c.Type, c.Names}); err != nil {
				return nil, fmt.Errorf("proxy %d: %w", number, err)
			}
		}
		return map[string]int64{"at": now()}, nil
	case "mark":
		l.mark(c.Type, c.Names)
		return map[string]int64{"at": now()}, nil
	case "sync":
		l.mutex.Lock()
		defer l.mutex.Unlock()
		complete := l.wait(limit, func() bool { return len(l.synced) >= c.Count })
		return map[string]any{"complete": complete, "synced": l.synced, "last_error": l.lastError}, nil
	case "wait":
		l.mutex.Lock()
		defer l.mutex.Unlock()
		complete := l.wait(limit, func() bool { return len(l.events) >= c.Count })
		return map[string]any{"complete": complete, "events": l.events}, nil
	case "counts":
		l.mutex.Lock()
		defer l.mutex.Unlock()
		return map[string]any{"streams": l.streams, "types": l.types, "ended": l.ended, "synced": len(l.synced)}, nil
	}
	return nil, fmt.Errorf("no such operation: %q", c.Op)
}

func (f *fleet) make(config *fleetConfig) error {
	f.disconnect()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(config.Roots)) {
		return errors.New("the roots are not certificates")
	}
	f.proxies = nil
	for number, each := range config.Proxies {
		made, err := newProxy(number, each, config, roots, f.ledger)
		if err != nil {
			return err
		}
		f.proxies = append(f.proxies, made)
	}
	return nil
}

func (f *fleet) connect(first, count int) error {
	if first < 0 || count < 0 || first+count > len(f.proxies) {
		return errors.New("there are not so many proxies")
	}
	if f.cancel == nil {
		f.ctx, f.cancel = context.WithCancel(context.Background())
	}
	ctx := f.ctx
	for _, each := range f.proxies[first : first+count] {
		f.running.Go(func() { each.run(ctx) })
	}
	return nil
}

func (f *fleet) disconnect() {
	if f.cancel != nil {
		f.cancel()
		f.running.Wait()
		f.cancel = nil
	}
}
