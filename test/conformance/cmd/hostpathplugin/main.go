// Command hostpathplugin stands in for registry.k8s.io/sig-storage/hostpathplugin in its proxy mode, the only one that
// conformance tests use: it listens on a Unix socket and hands each connection to whoever connects to the TCP endpoint (the
// test, through a port forward).
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
)

func main() {
	endpoint := flag.String("endpoint", "unix:///tmp/csi.sock", "Unix socket to listen on")
	proxy := flag.String("proxy-endpoint", "", "tcp://host:port to listen on")
	flag.Int("v", 0, "verbosity: nothing more is said")
	flag.Parse()
	if *proxy == "" {
		log.Fatal("--proxy-endpoint is missing: only the proxy mode is built")
	}
	if err := serve(strings.TrimPrefix(*endpoint, "unix://"), strings.TrimPrefix(*proxy, "tcp://")); err != nil {
		log.Fatal(err)
	}
}

// serve pairs each TCP connection, which comes first and waits, with the next one on the socket.
func serve(socket, address string) error {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	inside, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	outside, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	log.Printf("relay between %s and %s", socket, outside.Addr())
	for {
		t, err := outside.Accept()
		if err != nil {
			return err
		}
		u, err := inside.Accept()
		if err != nil {
			return err
		}
		go relay(t, u)
	}
}

// relay copies both ways until either side ends.
func relay(a, b net.Conn) {
	var both sync.WaitGroup
	pipe := func(dst, src net.Conn) {
		if _, err := io.Copy(dst, src); err != nil {
			log.Print(err)
		}
		dst.Close()
		src.Close()
	}
	both.Go(func() { pipe(a, b) })
	both.Go(func() { pipe(b, a) })
	both.Wait()
}
