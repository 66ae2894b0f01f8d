package main

import (
	"bytes"
	"io"
	"time"
)

// How slowly a client uploads: in so many pieces, with pauses between them, so
// that something is always under way when a process is killed.
const (
	pieces     = 16
	piecePause = 20 * time.Millisecond
)

// trickle reads content slowly.
type trickle struct {
	content *bytes.Reader
	piece   int
	sent    chan<- struct{} // is told of the end if anybody waits for it
}

func newTrickle(content []byte, sent chan<- struct{}) *trickle {
	return &trickle{content: bytes.NewReader(content), piece: len(content)/pieces + 1, sent: sent}
}

func (t *trickle) Read(p []byte) (int, error) {
	n, err := t.content.Read(p[:min(len(p), t.piece)])
	if err == io.EOF {
		select {
		case t.sent <- struct{}{}:
		default:
		}
		return n, err
	}
	time.Sleep(piecePause)
	return n, err
}
