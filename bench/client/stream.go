package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

const (
	method       = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
	firstBackoff = 250 * time.Millisecond // as our bootstrap tells Envoy
	lastBackoff  = 5 * time.Second
	refusal      = "refused by the benchmark"
)

// subscription is one type's names; none is "everything that is mine".
type subscription struct {
	Type  string   `json:"type"`
	Names []string `json:"names"`
}

// proxyConfig is one proxy as the harness describes it.
type proxyConfig struct {
	Node        string `json:"node"`
	Cluster     string `json:"cluster"`
	Certificate string `json:"certificate"`
	PrivateKey  string `json:"private_key"`
	// Token is shown on every stream in place of a certificate.
	Token string `json:"token"`
	// Stages are asked for one after the other, each when the one before is answered.
	Stages [][]subscription `json:"stages"`
	// Mute proxies ask for their first stage, and never read.
	Mute bool `json:"mute"`
	// Refuse names a type whose responses the proxy refuses.
	Refuse string `json:"refuse"`
}

// held is what a proxy knows of one type, and takes along to its next stream.
type held struct {
	wildcard bool
	names    map[string]string // asked for; to the name of the resource that answered
	versions map[string]string // by the resources' own names
}

// proxy plays one Envoy: one connection, one stream, and what it holds.
type proxy struct {
	number int
	config *proxyConfig
	target string
	tls    *tls.Config
	probe  string // a name that does not exist: its answer is the last one after a reconnection
	ledger *ledger

	sending  sync.Mutex // also guards what follows
	stream   grpc.ClientStream
	types    map[string]*held
	order    []string // types as they were first asked for
	stage    int
	awaiting map[string]map[string]bool // names (or "*") of the present stage without an answer
	began    int64
	synced   bool
}

func newProxy(number int, config *proxyConfig, fleet *fleetConfig, roots *x509.CertPool, l *ledger) (*proxy, error) {
	made := &proxy{
		number: number, config: config, target: fleet.Address, probe: fleet.Probe, ledger: l,
		tls:   &tls.Config{RootCAs: roots, ServerName: fleet.ServerName, MinVersion: tls.VersionTLS12},
		types: map[string]*held{},
	}
	if config.Token != "" {
		return made, nil
	}
	pair, err := tls.X509KeyPair([]byte(config.Certificate), []byte(config.PrivateKey))
	if err != nil {
		return nil, err
	}
	made.tls.Certificates = []tls.Certificate{pair}
	return made, nil
}

// run connects, and again whenever the stream ends, with Envoy's jittered back-off.
func (p *proxy) run(ctx context.Context) {
	interval := firstBackoff
	for ctx.Err() == nil {
		answered, err := p.connect(ctx)
		if ctx.Err() != nil {
			err = nil
		}
		p.ledger.streamEnded(p.number, err)
		if p.config.Mute {
			return // what was cut off stays away
		}
		if answered {
			interval = firstBackoff
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.Int64N(int64(interval)))):
		}
		interval = min(2*interval, lastBackoff)
	}
}

// connect is one connection from its beginning to its end; whether anything came.
func (p *proxy) connect(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := now()
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(p.tls)),
		grpc.WithReadBufferSize(4096), grpc.WithWriteBufferSize(4096),
		grpc.WithInitialWindowSize(65536), grpc.WithInitialConnWindowSize(1 << 20),
	}
	if p.config.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(p.config.Token)))
	}
	connection, err := grpc.NewClient("passthrough:///"+p.target, options...)
	if err != nil {
		return false, err
	}
	defer connection.Close()
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := connection.NewStream(ctx, description, method,
		grpc.ForceCodec(rawCodec{}), grpc.MaxCallRecvMsgSize(64<<20))
	if err != nil {
		return false, err
	}
	if err := p.begin(stream, began); err != nil {
		return false, err
	}
	if p.config.Mute {
		<-stream.Context().Done() // never reads; the stream ends with its connection
		return true, stream.Context().Err()
	}
	answered := false
	for {
		var wire []byte
		if err := stream.RecvMsg(&wire); err != nil {
			return answered, err
		}
		answered = true
		if err := p.take(wire); err != nil {
			return true, err
		}
	}
}

// begin sends the first requests: the first stage, or everything that was held before, the probe last.
func (p *proxy) begin(stream grpc.ClientStream, began int64) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.stream, p.began, p.synced = stream, began, false
	p.awaiting = map[string]map[string]bool{}
	if len(p.order) == 0 {
		return p.advance()
	}
	order := slices.Clone(p.order)
	slices.SortStableFunc(order, func(one, other string) int { return p.probes(one) - p.probes(other) })
	for number, typeURL := range order {
		state := p.types[typeURL]
		again := request{typeURL: typeURL, versions: state.versions}
		delete(state.versions, state.names[p.probe])
		if number == 0 {
			again.node = p.config
		}
		for name, answer := range state.names {
			again.subscribe = append(again.subscribe, name)
			if _, known := state.versions[answer]; !known {
				p.await(typeURL, name)
			}
		}
		slices.Sort(again.subscribe)
		if state.wildcard {
			again.subscribe = append(again.subscribe, "*")
			p.await(typeURL, "*")
		}
		if err := p.send(again); err != nil {
			return err
		}
	}
	return p.advance()
}

// probes is 1 for the type that the probe is asked for, 0 for the others.
func (p *proxy) probes(typeURL string) int {
	if _, asked := p.types[typeURL].names[p.probe]; asked {
		return 1
	}
	return 0
}

// advance asks for the next stages until one has something to wait for; the caller holds the mutex.
func (p *proxy) advance() error {
	for len(p.awaiting) == 0 && p.stage < len(p.config.Stages) {
		stage := p.config.Stages[p.stage]
		p.stage++
		if err := p.ask(stage); err != nil {
			return err
		}
	}
	return nil
}

func (p *proxy) ask(wanted []subscription) error {
	for _, each := range wanted {
		more := request{typeURL: each.Type, subscribe: each.Names}
		if len(p.order) == 0 {
			more.node = p.config
		}
		p.note(each)
		if err := p.send(more); err != nil {
			return err
		}
	}
	return nil
}

// note remembers what is asked for, and that its answer has not come.
func (p *proxy) note(wanted subscription) {
	state := p.types[wanted.Type]
	if state == nil {
		state = &held{names: map[string]string{}, versions: map[string]string{}}
		p.types[wanted.Type] = state
		p.order = append(p.order, wanted.Type)
	}
	if len(wanted.Names) == 0 {
		state.wildcard = true
		p.await(wanted.Type, "*")
	}
	for _, name := range wanted.Names {
		state.names[name] = state.names[name]
		p.await(wanted.Type, name)
	}
}

func (p *proxy) await(typeURL, name string) {
	if p.awaiting[typeURL] == nil {
		p.awaiting[typeURL] = map[string]bool{}
	}
	p.awaiting[typeURL][name] = true
}

func (p *proxy) answeredName(typeURL, name string) {
	delete(p.awaiting[typeURL], name)
	if len(p.awaiting[typeURL]) == 0 {
		delete(p.awaiting, typeURL)
	}
}

func (p *proxy) send(r request) error {
	return p.stream.SendMsg(r.encode())
}

// take handles one response: acknowledge (or refuse), remember, count, go on.
func (p *proxy) take(wire []byte) error {
	arrived := now()
	got, err := decodeResponse(wire)
	if err != nil {
		return err
	}
	answer := request{typeURL: got.typeURL, nonce: got.nonce}
	if got.typeURL == p.config.Refuse {
		answer.refusal = refusal
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	if err := p.send(answer); err != nil {
		return err
	}
	acknowledged := now()
	state := p.types[got.typeURL]
	if state == nil {
		return errors.New("a response of a type that was not asked for: " + got.typeURL)
	}
	counted := tally{Responses: 1, Removed: len(got.removed), Bytes: got.size}
	var fresh []string
	for _, each := range got.resources {
		isProbe := false
		for _, name := range each.names() {
			p.answeredName(got.typeURL, name)
			isProbe = isProbe || name == p.probe
			if _, asked := state.names[name]; asked && answer.refusal == "" {
				state.names[name] = each.name
			}
		}
		if isProbe {
			continue
		}
		counted.Resources++
		if version, known := state.versions[each.name]; known && version == each.version {
			counted.Duplicates++
			continue
		}
		fresh = append(fresh, each.names()...)
		if answer.refusal == "" {
			state.versions[each.name] = each.version
		}
	}
	for _, name := range got.removed {
		p.answeredName(got.typeURL, name)
		delete(state.versions, name)
		fresh = append(fresh, name)
	}
	p.answeredName(got.typeURL, "*")
	p.ledger.take(p.number, got.typeURL, counted, fresh, arrived, acknowledged)
	if err := p.advance(); err != nil {
		return err
	}
	if len(p.awaiting) == 0 && !p.synced {
		p.synced = true
		p.ledger.inSync(p.number, p.began, arrived)
	}
	return nil
}

// subscribe asks for more names on a stream that is connected.
func (p *proxy) subscribe(wanted subscription) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	if p.stream == nil {
		return errors.New("not connected")
	}
	p.synced = false
	return p.ask([]subscription{wanted})
}

// bearer is a token that goes with every stream, over TLS only (credentials.PerRPCCredentials).
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// rawCodec hands bytes to gRPC as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(value any) ([]byte, error) { return value.([]byte), nil }

func (rawCodec) Unmarshal(wire []byte, to any) error {
	*to.(*[]byte) = slices.Clone(wire)
	return nil
}
