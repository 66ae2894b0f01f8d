// Package mailtest has a mail server for tests.
package mailtest

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Server is a mail server that speaks as much SMTP as is needed to take mails.
type Server struct {
	ln   net.Listener
	gate <-chan struct{}

	mu    sync.Mutex
	mails []string
	to    []string
	deny  string
}

// Start starts a server that ends with the test. From gate it takes two values
// for each mail: that it is there, and that it may come in; nil lets all in.
func Start(tb testing.TB, gate <-chan struct{}) *Server {
	tb.Helper()
	ln, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{ln: ln, gate: gate}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.talk(conn) })
		}
	})
	tb.Cleanup(func() { ln.Close(); serving.Wait() })
	return s
}

// URL is the server's SMTP_URL.
func (s *Server) URL() string { return "smtp://" + s.ln.Addr().String() }

// Deny makes reply the answer to every recipient, such as "550 no such user"; ""
// takes them.
func (s *Server) Deny(reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deny = reply
}

// Mails returns the mails that came, as they came.
func (s *Server) Mails() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Recipients returns the arguments of RCPT, those that were denied included.
func (s *Server) Recipients() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.to)
}

func (s *Server) talk(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 test")
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch strings.ToUpper(verb) {
		case "RCPT":
			say(s.recipient(rest))
		case "DATA":
			if s.gate != nil {
				<-s.gate
				<-s.gate
			}
			say("354 go on")
			s.take(in)
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// recipient returns the reply to a recipient.
func (s *Server) recipient(to string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = append(s.to, to)
	if s.deny != "" {
		return s.deny
	}
	return "250 ok"
}

// take reads a mail up to its end.
func (s *Server) take(in *bufio.Scanner) {
	var text strings.Builder
	for in.Scan() && in.Text() != "." {
		text.WriteString(in.Text() + "\n")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, text.String())
}
