// Command probe is what the test pods run. It does, in this order, what its
// flags ask for: print a report of what it sees of the world as JSON, serve the
// same over HTTP, echo datagrams, write numbered lines, wait, exit.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

type options struct {
	report    bool
	http, udp string
	grpc      string
	lines     int
	width     int
	every     time.Duration
	buffer    int
	ignore    bool
	termCode  int
	wait      time.Duration
	code      int
}

func main() {
	var o options
	flag.BoolVar(&o.report, "report", false, "print a report")
	flag.StringVar(&o.http, "http", "", "serve reports over HTTP on this address")
	flag.StringVar(&o.udp, "udp", "", "echo datagrams on this address")
	flag.StringVar(&o.grpc, "grpc", "", "answer gRPC health checks on this address")
	flag.IntVar(&o.lines, "lines", 0, "write this many numbered lines, odd ones to standard error")
	flag.IntVar(&o.width, "width", 0, "fill the lines up to this many bytes")
	flag.DurationVar(&o.every, "every", 0, "pause between two lines")
	flag.IntVar(&o.buffer, "buffer", 0, "write lines when there are this many bytes of them")
	flag.BoolVar(&o.ignore, "ignore-term", false, "go on at SIGTERM")
	flag.IntVar(&o.termCode, "term-code", -1, "exit with this code at SIGTERM")
	flag.DurationVar(&o.wait, "wait", 0, "wait this long, for ever when negative")
	flag.IntVar(&o.code, "exit", 0, "the exit code")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(99)
	}
	os.Exit(o.code)
}

func run(o options) error {
	handleTerm(o)
	if o.report {
		if err := json.NewEncoder(os.Stdout).Encode(look(nil)); err != nil {
			return err
		}
	}
	if err := serve(o); err != nil {
		return err
	}
	if err := writeLines(o); err != nil {
		return err
	}
	if o.wait < 0 {
		select {}
	}
	time.Sleep(o.wait)
	return nil
}

func writeLines(o options) error {
	streams := [2]io.Writer{os.Stdout, os.Stderr}
	var buffers [2]*bufio.Writer
	if o.buffer > 0 {
		for i, stream := range streams {
			buffers[i] = bufio.NewWriterSize(stream, o.buffer)
			streams[i] = buffers[i]
		}
	}
	for i := range o.lines {
		if _, err := fmt.Fprintf(streams[i%2], "line %-*d\n", max(0, o.width-len("line \n")), i); err != nil {
			return err
		}
		time.Sleep(o.every)
	}
	if o.buffer > 0 {
		return errors.Join(buffers[0].Flush(), buffers[1].Flush())
	}
	return nil
}

// handleTerm decides what SIGTERM does. As the first process of a pid
// namespace the kernel drops it unless it is handled.
func handleTerm(o options) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		for range term {
			switch {
			case o.ignore:
				fmt.Println("ignored SIGTERM")
			case o.termCode >= 0:
				fmt.Println("got SIGTERM")
				os.Exit(o.termCode)
			default:
				os.Exit(143)
			}
		}
	}()
}

func serve(o options) error {
	if o.http != "" {
		l, err := net.Listen("tcp", o.http)
		if err != nil {
			return err
		}
		go func() { _ = http.Serve(l, http.HandlerFunc(answer)) }()
	}
	if o.grpc != "" {
		l, err := net.Listen("tcp", o.grpc)
		if err != nil {
			return err
		}
		server := grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(server, health.NewServer())
		go func() { _ = server.Serve(l) }()
	}
	if o.udp != "" {
		c, err := net.ListenPacket("udp", o.udp)
		if err != nil {
			return err
		}
		go echo(c)
	}
	return nil
}

// answer serves a report; each parameter file=PATH asks for a file.
func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(look(r.URL.Query()["file"]))
}

func echo(c net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(buf[:n], from)
	}
}
