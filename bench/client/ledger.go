package main

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// now is CLOCK_MONOTONIC in nanoseconds: the clock that the harness reads, too.
func now() int64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &at); err != nil {
		panic(err)
	}
	return at.Nano()
}

// tally counts what arrived since the last mark.
type tally struct {
	Responses  int `json:"responses"`
	Resources  int `json:"resources"`
	Removed    int `json:"removed"`
	Duplicates int `json:"duplicates"` // resources in the version that the proxy held already
	Bytes      int `json:"bytes"`
}

func (t *tally) add(more tally) {
	t.Responses += more.Responses
	t.Resources += more.Resources
	t.Removed += more.Removed
	t.Duplicates += more.Duplicates
	t.Bytes += more.Bytes
}

// event says that a watched resource reached a stream in a new version, or went: the number of the
// stream, that of the name, when the response was read, and when its acknowledgement was handed over.
type event [4]int64

// ledger holds all figures of all streams.
type ledger struct {
	mutex       sync.Mutex
	changed     *sync.Cond
	watchedType string
	watched     map[string]int
	events      []event
	streams     map[int]*tally
	types       map[string]*tally
	synced      map[int][2]int64 // when a stream's connection began, and when it had everything
	ended       int
	lastError   string
}

func newLedger() *ledger {
	l := &ledger{synced: map[int][2]int64{}}
	l.changed = sync.NewCond(&l.mutex)
	l.mark("", nil)
	return l
}

// mark begins to count anew, and to watch the given resources.
func (l *ledger) mark(typeURL string, names []string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.watchedType, l.watched = typeURL, map[string]int{}
	for number, name := range names {
		l.watched[name] = number
	}
	l.events = []event{}
	l.streams = map[int]*tally{}
	l.types = map[string]*tally{}
}

func (l *ledger) take(stream int, typeURL string, counted tally, names []string, arrived, acknowledged int64) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.streams[stream] == nil {
		l.streams[stream] = &tally{}
	}
	if l.types[typeURL] == nil {
		l.types[typeURL] = &tally{}
	}
	l.streams[stream].add(counted)
	l.types[typeURL].add(counted)
	if typeURL != l.watchedType {
		return
	}
	for _, name := range names {
		if number, ok := l.watched[name]; ok {
			l.events = append(l.events, event{int64(stream), int64(number), arrived, acknowledged})
		}
	}
	l.changed.Broadcast()
}

func (l *ledger) inSync(stream int, began, at int64) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.synced[stream] = [2]int64{began, at}
	l.changed.Broadcast()
}

func (l *ledger) streamEnded(stream int, err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.synced, stream)
	l.ended++
	if err != nil {
		l.lastError = err.Error()
	}
	l.changed.Broadcast()
}

// wait returns when a condition holds, or after a while; the caller must hold the mutex.
func (l *ledger) wait(limit time.Duration, holds func() bool) bool {
	deadline := time.Now().Add(limit)
	bell := time.AfterFunc(limit, l.changed.Broadcast)
	defer bell.Stop()
	for !holds() {
		if !time.Now().Before(deadline) {
			return false
		}
		l.changed.Wait()
	}
	return true
}
