package main

// The two messages of incremental xDS, read and written by hand: only the fields that a proxy needs
// (envoy/service/discovery/v3/discovery.proto). What is inside of a resource does not matter here.

import "google.golang.org/protobuf/encoding/protowire"

// request is a DeltaDiscoveryRequest.
type request struct {
	node      *proxyConfig
	typeURL   string
	subscribe []string
	versions  map[string]string
	nonce     string
	refusal   string
}

// response is what counts of a DeltaDiscoveryResponse.
type response struct {
	typeURL   string
	nonce     string
	resources []resource
	removed   []string
	size      int
}

// resource has a name of its own, and others that it may have been asked for by.
type resource struct {
	name    string
	version string
	aliases []string
}

func (r resource) names() []string {
	return append([]string{r.name}, r.aliases...)
}

const invalidArgument = 3 // google.rpc.Code, which Envoy sends with a refusal

func (r request) encode() []byte {
	var out []byte
	if r.node != nil {
		node := text(nil, 1, r.node.Node)
		node = text(node, 2, r.node.Cluster)
		node = text(node, 6, "bench")
		out = text(out, 1, string(node))
	}
	out = text(out, 2, r.typeURL)
	for _, name := range r.subscribe {
		out = text(out, 3, name)
	}
	for name, version := range r.versions {
		out = text(out, 5, string(text(text(nil, 1, name), 2, version)))
	}
	if r.nonce != "" {
		out = text(out, 6, r.nonce)
	}
	if r.refusal != "" {
		status := protowire.AppendTag(nil, 1, protowire.VarintType)
		status = protowire.AppendVarint(status, invalidArgument)
		out = text(out, 7, string(text(status, 2, r.refusal)))
	}
	return out
}

func text(to []byte, field protowire.Number, value string) []byte {
	to = protowire.AppendTag(to, field, protowire.BytesType)
	return protowire.AppendString(to, value)
}

func decodeResponse(wire []byte) (response, error) {
	out := response{size: len(wire)}
	err := eachBytes(wire, func(field protowire.Number, value []byte) error {
		switch field {
		case 2:
			one, err := decodeResource(value)
			out.resources = append(out.resources, one)
			return err
		case 4:
			out.typeURL = string(value)
		case 5:
			out.nonce = string(value)
		case 6:
			out.removed = append(out.removed, string(value))
		}
		return nil
	})
	return out, err
}

func decodeResource(wire []byte) (resource, error) {
	var out resource
	err := eachBytes(wire, func(field protowire.Number, value []byte) error {
		switch field {
		case 1:
			out.version = string(value)
		case 3:
			out.name = string(value)
		case 4:
			out.aliases = append(out.aliases, string(value))
		}
		return nil
	})
	return out, err
}

// eachBytes hands over the fields of a message that hold bytes, and skips all others.
func eachBytes(wire []byte, take func(protowire.Number, []byte) error) error {
	for len(wire) > 0 {
		field, kind, n := protowire.ConsumeTag(wire)
		if n < 0 {
			return protowire.ParseError(n)
		}
		wire = wire[n:]
		if n = protowire.ConsumeFieldValue(field, kind, wire); n < 0 {
			return protowire.ParseError(n)
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(wire)
			if err := take(field, value); err != nil {
				return err
			}
		}
		wire = wire[n:]
	}
	return nil
}
