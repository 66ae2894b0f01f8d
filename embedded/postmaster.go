package embedded

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// role owns the clusters made here and everything in them; database is the one
// that initdb makes.
const (
	role     = "voiceassist"
	database = "postgres"
)

// postmaster is a server process as its pid file describes it.
type postmaster struct {
	pid     int
	port    int
	sockets string // the directory of its socket
}

// pidFile, in the data, is written by the server and removed when it ends in
// order. Its first five lines: process id, data, start time, port, directory
// of the socket.
const pidFile = "postmaster.pid"

func readPostmaster(data string) (postmaster, error) {
	b, err := os.ReadFile(filepath.Join(data, pidFile))
	if err != nil {
		return postmaster{}, err
	}
	var lines [5]string
	s := bufio.NewScanner(bytes.NewReader(b))
	for i := range lines {
		s.Scan()
		lines[i] = s.Text()
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil || pid <= 0 {
		return postmaster{}, fmt.Errorf("%s names no server", pidFile)
	}
	port, _ := strconv.Atoi(lines[3]) // not there yet while the server starts
	return postmaster{pid: pid, port: port, sockets: lines[4]}, nil
}

func (m postmaster) url() string {
	query := url.Values{"host": {m.sockets}, "port": {strconv.Itoa(m.port)}}.Encode()
	// In a connection string "+" is no space.
	query = strings.ReplaceAll(query, "+", "%20")
	u := url.URL{Scheme: "postgres", User: url.User(role), Path: "/" + database, RawQuery: query}
	return u.String()
}

// ask returns the version of the server if it answers and serves the data.
func (m postmaster) ask(ctx context.Context, data string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, m.url())
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var served string
	err = conn.QueryRow(ctx, `SELECT split_part(current_setting('server_version'), ' ', 1), current_setting('data_directory')`).
		Scan(&version, &served)
	if err != nil {
		return "", err
	}
	if !sameFile(served, data) {
		return "", fmt.Errorf("the server at %s serves %s", m.sockets, served)
	}
	return version, nil
}

// refuses reports whether err is a server's answer that asking again does not
// change: anything but that it starts, stops or has no connection left
// (SQLSTATE classes 57 and 53).
func refuses(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && !strings.HasPrefix(pg.Code, "57") && !strings.HasPrefix(pg.Code, "53")
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// runs reports whether the server is still there and still the one of the data.
// A server that stops removes its file a moment before it ends.
func (m postmaster) runs(ctx context.Context, data string) bool {
	if now, err := readPostmaster(data); err == nil {
		return now.pid == m.pid && m.exists()
	}
	return m.exists() && m.serves(ctx, data)
}

// exists reports whether a process of this number lives.
func (m postmaster) exists() bool {
	if err := syscall.Kill(m.pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	// A dead process that its parent has not waited for has no command line.
	line, err := os.ReadFile(m.commandLineFile())
	return err != nil || len(line) > 0
}

// serves reports whether the process was started on the data, judged by its
// command line, which unlike its working directory everybody may read.
func (m postmaster) serves(ctx context.Context, data string) bool {
	line, err := os.ReadFile(m.commandLineFile())
	if err != nil {
		line, err = exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(m.pid)).Output()
	}
	return err == nil && bytes.Contains(line, []byte(data))
}

// commandLineFile exists on Linux only.
func (m postmaster) commandLineFile() string { return fmt.Sprintf("/proc/%d/cmdline", m.pid) }
