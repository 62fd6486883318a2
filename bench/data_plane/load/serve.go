package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"strconv"
)

const largestBody = 1 << 20

func serve(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	address := flags.String("listen", "127.0.0.1:0", "address to listen on")
	_ = flags.Parse(arguments)
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr()) // says that it listens
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go echoRequests(connection)
	}
}

func echoRequests(connection net.Conn) {
	defer connection.Close()
	in := bufio.NewReader(connection)
	line, body := make([]byte, 4096), make([]byte, largestBody)
	var out []byte
	for {
		_, content, err := readMessage(in, line, body)
		if err != nil {
			return
		}
		out = append(out[:0], "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: "...)
		out = strconv.AppendInt(out, int64(len(content)), 10)
		out = append(out, "\r\n\r\n"...)
		out = append(out, content...)
		if _, err := connection.Write(out); err != nil {
			return
		}
	}
}
