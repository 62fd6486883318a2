package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

var contentLength = []byte("content-length:")

// readMessage reads an HTTP/1.1 message with a Content-Length: its first line, and its body into
// `body`, which must be large enough. Both are valid until the next call.
func readMessage(in *bufio.Reader, line, body []byte) (first, content []byte, err error) {
	length := 0
	for number := 0; ; number++ {
		text, err := in.ReadSlice('\n')
		if err != nil {
			return nil, nil, err
		}
		text = bytes.TrimRight(text, "\r\n")
		if number == 0 {
			first = append(line[:0], text...)
			continue
		}
		if len(text) == 0 {
			break
		}
		if size := len(contentLength); len(text) > size && bytes.EqualFold(text[:size], contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(text[size:]))); err != nil {
				return nil, nil, err
			}
		}
	}
	if length > len(body) {
		return nil, nil, errors.New("the body is too large")
	}
	_, err = io.ReadFull(in, body[:length])
	return first, body[:length], err
}
